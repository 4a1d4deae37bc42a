// The words of PromQL and what they do, for completion. Each line: name, arguments, a few words.

export interface Word {
  name: string;
  /** Types of the arguments; absent where it is no call. */
  args?: string;
  help: string;
}

const FUNCTIONS = `
abs|v|absolute value
absent|v|1 where the vector is empty
absent_over_time|v[d]|1 where the range holds nothing
acos|v|arc cosine
acosh|v|inverse hyperbolic cosine
asin|v|arc sine
asinh|v|inverse hyperbolic sine
atan|v|arc tangent
atanh|v|inverse hyperbolic tangent
avg_over_time|v[d]|mean of the range
ceil|v|round up
changes|v[d]|how often the value changed
clamp|v, min, max|limit from both sides
clamp_max|v, max|limit from above
clamp_min|v, min|limit from below
cos|v|cosine
cosh|v|hyperbolic cosine
count_over_time|v[d]|number of samples
day_of_month|v|1 to 31, UTC
day_of_week|v|0 (Sunday) to 6, UTC
day_of_year|v|1 to 366, UTC
days_in_month|v|28 to 31, UTC
deg|v|radians to degrees
delta|v[d]|difference of first and last, for gauges
deriv|v[d]|slope per second, by linear regression
double_exponential_smoothing|v[d], sf, tf|smoothed value, for gauges
end||end of the query, seconds
exp|v|e to the power of
first_over_time|v[d]|oldest value
floor|v|round down
histogram_avg|v|mean of native histograms
histogram_count|v|number of observations
histogram_fraction|lower, upper, v|share of observations between bounds
histogram_quantile|φ, v|quantile of a histogram
histogram_quantiles|v, "label", φ, …|several quantiles of a histogram
histogram_stddev|v|standard deviation of observations
histogram_stdvar|v|variance of observations
histogram_sum|v|sum of observations
hour|v|0 to 23, UTC
idelta|v[d]|difference of the last two samples
increase|v[d]|growth of a counter over the range
info|v, {…}|adds labels of info metrics
irate|v[d]|growth per second, of the last two samples
label_join|v, "dst", "sep", "src", …|joins labels into one
label_replace|v, "dst", "repl", "src", "re"|makes a label from another
last_over_time|v[d]|newest value
ln|v|natural logarithm
log10|v|decimal logarithm
log2|v|binary logarithm
mad_over_time|v[d]|median absolute deviation
max_of|a, b|the larger scalar
max_over_time|v[d]|maximum of the range
min_of|a, b|the smaller scalar
min_over_time|v[d]|minimum of the range
minute|v|0 to 59, UTC
month|v|1 to 12, UTC
pi||π
predict_linear|v[d], seconds|value in the future, by linear regression
present_over_time|v[d]|1 where the range holds anything
quantile_over_time|φ, v[d]|quantile of the range
rad|v|degrees to radians
range||length of the query, seconds
rate|v[d]|growth of a counter per second
resets|v[d]|how often a counter was reset
round|v, to|round to the nearest multiple
scalar|v|the only sample as a number
sgn|v|sign: −1, 0 or 1
sin|v|sine
sinh|v|hyperbolic sine
sort|v|by value, ascending
sort_by_label|v, "label", …|by labels, ascending
sort_by_label_desc|v, "label", …|by labels, descending
sort_desc|v|by value, descending
sqrt|v|square root
start||start of the query, seconds
start_timestamp|v|when a counter started
stddev_over_time|v[d]|standard deviation of the range
stdvar_over_time|v[d]|variance of the range
step||step of the query, seconds
sum_over_time|v[d]|sum of the range
tan|v|tangent
tanh|v|hyperbolic tangent
time||time of evaluation, seconds
timestamp|v|time of each sample, seconds
ts_of_first_over_time|v[d]|time of the oldest sample
ts_of_last_over_time|v[d]|time of the newest sample
ts_of_max_over_time|v[d]|time of the maximum
ts_of_min_over_time|v[d]|time of the minimum
vector|s|a number as a vector
xdelta|v[d]|delta that sees the sample before the range
xincrease|v[d]|increase that sees the sample before the range
xrate|v[d]|rate that sees the sample before the range
year|v|the year, UTC`;

const AGGREGATIONS = `
avg|v|mean
bottomk|k, v|the k smallest
count|v|how many
count_values|"label", v|how many of each value
group|v|1 for each group
limit_ratio|r, v|a share of the series
limitk|k, v|any k series
max|v|maximum
min|v|minimum
quantile|φ, v|quantile
stddev|v|standard deviation
stdvar|v|variance
sum|v|sum
topk|k, v|the k largest`;

const KEYWORDS = `
and|in both
anchored|range reaches to its bounds
atan2|angle of two values
bool|0 or 1 instead of filtering
by|keep these labels
fill|value for missing matches
fill_left|value missing on the left
fill_right|value missing on the right
group_left|many on the left, one on the right
group_right|one on the left, many on the right
ignoring|match on all other labels
offset|look back by
on|match on these labels
or|in either
smoothed|interpolated at its bounds
unless|not in the other
without|drop these labels`;

function lines(text: string): string[][] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.split('|'));
}

export const functions: Word[] = lines(FUNCTIONS).map(([name, args, help]) => ({
  name: name!,
  args: args!,
  help: help!,
}));
export const aggregations: Word[] = lines(AGGREGATIONS).map(([name, args, help]) => ({
  name: name!,
  args: args!,
  help: help!,
}));
export const keywords: Word[] = lines(KEYWORDS).map(([name, help]) => ({ name: name!, help: help! }));

/** Words that are followed by a list of labels in brackets. */
export const labelListWords = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);

export const functionNames = new Set(functions.map((word) => word.name));
export const aggregationNames = new Set(aggregations.map((word) => word.name));
export const keywordNames = new Set(keywords.map((word) => word.name));
