/**
 * A report as one HTML file: no script, no request, readable in light and dark and on paper. Everything that
 * a run says is escaped; a content-security policy forbids all but the file's own style and pictures.
 */
import type { Figure } from '../figure/figure.js';
import { escaped, figureSvg } from '../figure/svg.js';
import type { HardImage } from './hardest.js';

/** What the page shows; sections without content are left out. */
export interface ReportContent {
  readonly title: string;
  /** "certified training with ibp, …; seed 0, tautnet 0.1.0". */
  readonly subtitle: string;
  /** Shell commands that repeat or go on. */
  readonly commands: readonly string[];
  /** Name and value, in text: the three accuracies. */
  readonly results: readonly (readonly [name: string, value: string, meaning: string])[];
  /** What is missing, and what to do about it. */
  readonly notes: readonly string[];
  readonly figures: readonly Figure[];
  readonly hardest: readonly HardImage[];
  /** Rows with a header. */
  readonly times: readonly (readonly string[])[];
  readonly settings: readonly (readonly string[])[];
}

const STYLE = `
:root{color-scheme:light dark}
body{font:16px/1.55 Inter,system-ui,sans-serif;max-width:860px;margin:2rem auto;padding:0 1rem;
color:#1f2328;background:#fff}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid #8883;overflow-wrap:anywhere}
pre{background:#8881;padding:.8rem;border-radius:8px;white-space:pre-wrap;overflow-wrap:anywhere}
.figure{overflow-x:auto}svg{width:100%;min-width:560px;height:auto;display:block}
.results{display:flex;gap:1rem;flex-wrap:wrap}.results div{flex:1 1 12rem;padding:.9rem 1.1rem;
border:1px solid #8884;border-radius:10px}.results b{display:block;font-size:1.7rem;font-weight:600}
.images{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:1rem}
figure{margin:0}.three{display:flex;gap:4px}.three img{width:76px;height:76px;image-rendering:pixelated;
border-radius:4px}figcaption{font-size:.82rem}.note{border-left:3px solid #e07b00;padding-left:.8rem}
@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}}`;

const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

const section = (heading: string, content: string): string =>
  content === '' ? '' : `<section><h2>${escaped(heading)}</h2>${content}</section>\n`;

function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const row = (cells: readonly string[], tag: 'th' | 'td') =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${row(head, 'th')}${rows.map((cells) => row(cells, 'td')).join('')}</table>`;
}

const hardImage = (hard: HardImage): string => {
  const { image, label, stage, margin, picture, counterexample, difference } = hard;
  const shown = (source: string, alternative: string) => `<img src="${source}" alt="${alternative}">`;
  return (
    `<figure><div class="three">${shown(picture, `test image ${image}`)}` +
    shown(counterexample, `counterexample of image ${image}`) +
    `${shown(difference, 'their difference')}</div>` +
    `<figcaption>image ${image}, label ${label}: margin ${Number(margin.toPrecision(3))}, by ` +
    `${escaped(stage)}</figcaption></figure>`
  );
};

/** A figure keeps a size at which its text can be read: on a phone it is scrolled. */
const drawing = (figure: Figure): string =>
  `<div class="figure" role="region" tabindex="0" aria-label="${escaped(figure.title)}">` +
  `${figureSvg(figure, false)}</div>`;

export function reportPage(content: ReportContent): string {
  const { title, subtitle, commands, results, notes, figures, hardest, times, settings } = content;
  const cards = results.map(
    ([name, value, meaning]) =>
      `<div>${escaped(name)}<b>${escaped(value)}</b><small>${escaped(meaning)}</small></div>`,
  );
  const images = hardest.length === 0 ? '' : `<div class="images">${hardest.map(hardImage).join('')}</div>`;
  const explained = images && '<p>Image, counterexample, and their difference: white is +ε, black −ε.</p>';
  return [
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escaped(title)}</title><style>${STYLE}</style></head><body>\n<main>`,
    `<h1>${escaped(title)}</h1><p>${escaped(subtitle)}</p>\n`,
    ...notes.map((note) => `<p class="note">${escaped(note)}</p>\n`),
    cards.length === 0 ? '' : `<div class="results">${cards.join('')}</div>\n`,
    ...figures.map((figure) => section(figure.title, drawing(figure))),
    section('Hardest images', images && explained + images),
    section('Time', table(times)),
    section('Settings', table(settings)),
    section('Next', `<pre>${commands.map(escaped).join('\n')}</pre>`),
    '</main></body></html>\n',
  ].join('');
}
