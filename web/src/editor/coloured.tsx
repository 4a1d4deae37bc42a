import type { RefObject } from 'preact';
import type { Token } from '../promql/lex';
import type { Mark } from '../promql/position';

interface Props {
  element: RefObject<HTMLPreElement | null>;
  text: string;
  tokens: Token[];
  brackets: [number, number] | null;
  mark: Mark | null;
}

/** The text of the editor in colours, with the brackets at the caret and the place of an error. */
export function Coloured({ element, text, tokens, brackets, mark }: Props) {
  return (
    <pre class="coloured" ref={element} aria-hidden="true">
      {tokens.map((token) => pieces(token, mark, brackets))}
      {mark && mark.start >= text.length && <span class="wrong beyond"> </span>}
      {'\n'}
    </pre>
  );
}

/** A token, cut where an error starts or ends in it. */
function pieces(token: Token, mark: Mark | null, brackets: [number, number] | null) {
  const bounds = [mark?.start, mark?.end].filter((at) => at !== undefined && at > token.start && at < token.end);
  const cuts = [token.start, ...(bounds as number[]), token.end];
  const matched = token.text.length === 1 && brackets?.includes(token.start);
  return cuts.slice(1).map((end, index) => {
    const start = cuts[index]!;
    const wrong = mark !== null && start >= mark.start && end <= mark.end;
    const name = `t-${token.kind}${wrong ? ' wrong' : ''}${matched ? ' matched' : ''}`;
    return <span class={name}>{token.text.slice(start - token.start, end - token.start)}</span>;
  });
}
