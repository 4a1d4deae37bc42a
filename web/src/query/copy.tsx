import { useState } from 'preact/hooks';
import type { QueryData, Series } from '../api';
import { toCsv } from './run';

/** Puts an answer on the clipboard. */
export function Copy({ series, data }: { series: Series[]; data: QueryData }) {
  const [done, setDone] = useState('');
  async function copy(what: string, text: string) {
    // Browsers give the clipboard to secure pages only.
    const copied = await navigator.clipboard?.writeText(text).then(
      () => true,
      () => false,
    );
    setDone(copied ? `${what} copied` : 'the browser did not allow it');
    setTimeout(() => setDone(''), 2000);
  }
  return (
    <span class="copy">
      <span role="status">{done}</span>
      <button class="link" onClick={() => copy('CSV', toCsv(series))}>
        Copy CSV
      </button>
      <button class="link" onClick={() => copy('JSON', JSON.stringify(data, null, 1))}>
        Copy JSON
      </button>
    </span>
  );
}
