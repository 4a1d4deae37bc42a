import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './style/base.css';
import './style/query.css';
import './style/editor.css';
import './style/blocks.css';
import { App } from './app';

render(<App />, document.getElementById('app')!);
