// Made-up samples, as blocks of Prometheus's own making.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Two hours of samples each 15 s, until now, as blocks below `folder/data`. */
export function backfill(folder: string) {
  const until = Math.floor(Date.now() / 15_000) * 15;
  const times = Array.from({ length: 2 * 240 }, (_, n) => until - (480 - n) * 15);
  const lines: string[] = ['# HELP demo_requests Requests served.', '# TYPE demo_requests counter'];
  ['api', 'web'].forEach((job, j) =>
    ['get', 'post', 'put'].forEach((method, m) =>
      ['200', '404', '500'].forEach((code, c) => {
        let total = 0;
        times.forEach((time, n) => {
          const wave = 1 + Math.sin(n / 40 + j + m) + 0.3 * Math.sin(n / 7 + c);
          total += Math.max(0, Math.round((wave * 40) / (m + 1) / (c * c * 4 + 1)));
          lines.push(
            `demo_requests_total{job="${job}",instance="${job}-${m}:8080",method="${method}",code="${code}"} ${total} ${time}`,
          );
        });
      }),
    ),
  );
  lines.push('# HELP demo_memory_bytes Memory in use.', '# TYPE demo_memory_bytes gauge');
  ['api', 'web'].forEach((job, j) =>
    times.forEach((time, n) => {
      const bytes = Math.round(6e8 + j * 3e8 + 1e8 * Math.sin(n / 60 + j) + (n % 120) * 1e6);
      // A gap, as restarts make them.
      if (n < 300 || n > 340 || j === 0) lines.push(`demo_memory_bytes{job="${job}",replica="a"} ${bytes} ${time}`);
    }),
  );
  lines.push('# EOF', '');
  const file = join(folder, 'samples.txt');
  writeFileSync(file, lines.join('\n'));
  const made = spawnSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', file, join(folder, 'data')]);
  if (made.status !== 0) throw new Error(`promtool makes no blocks; is it installed? ${made.stderr ?? made.error}`);
}
