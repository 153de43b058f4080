/**
 * A figure as one SVG file that needs nothing beside it: drawn by Observable Plot on a document in memory,
 * with text and lines that are dark on light grounds and light on dark ones, as the reader prefers.
 */
import { type Axis, coloursOf, type Figure, type Mark, type Panel, seriesOf, yLabelOf } from './figure.js';
import { areaY, barY, contour, dot, identity, line, parseHTML, plot, text as words } from './plot-library.js';

/** Colours of series that are told apart on white and on black, by colour-blind readers too. */
const COLOURS = ['#3f83d4', '#e07b00', '#1c9d6c', '#d8475e', '#9467d3', '#1598ad', '#a5702f', '#7c8590'];
const PANEL = [380, 240] as const;
const MARGIN = 20;
const STYLE =
  'svg{color:#1f2328;font-family:Inter,system-ui,sans-serif;font-size:12px}.ground{fill:#fff}' +
  'text{fill:currentColor}.title{font-size:17px}.panel-title{font-size:13px}' +
  '.title,.panel-title{font-weight:600}' +
  '.quiet{opacity:.72}@media (prefers-color-scheme:dark){svg{color:#e6edf3}.ground{fill:#0d1117}}';

/** Text for XML; what XML does not allow at all, control characters and half characters, becomes spaces. */
export const escaped = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, ' ')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const finite = (value: number | undefined): number =>
  Number.isFinite(value) ? (value as number) : Number.NaN;
const points = (x: readonly number[], ...ys: readonly (readonly number[])[]) =>
  x.map((value, i) => ({ x: finite(value), a: finite(ys[0]?.[i]), b: finite(ys[1]?.[i]) }));

const endsOf = (grid: readonly number[]) => [grid[0] as number, grid.at(-1) as number] as const;

/** Ends of the cells around points at equal distances: Plot takes values to be those of cells' middles. */
function cellsOf(grid: readonly number[]): readonly [number, number] {
  const [first, last] = endsOf(grid);
  const half = (last - first) / (grid.length - 1) / 2;
  return [first - half, last + half];
}

type Colours = (series: string) => string;

/** What Plot draws for one mark. */
function drawn(mark: Mark, colourOf: Colours) {
  switch (mark.kind) {
    case 'line': {
      const dash = mark.dashed ? { strokeDasharray: '5 4' } : {};
      const look = { stroke: colourOf(mark.series), strokeWidth: 1.6, strokeLinejoin: 'round', ...dash };
      return [line(points(mark.x, mark.y), { x: 'x', y: 'a', ...look })];
    }
    case 'band': {
      const data = points(mark.x, mark.lower, mark.upper);
      return [areaY(data, { x: 'x', y1: 'a', y2: 'b', fill: colourOf(mark.series), fillOpacity: 0.25 })];
    }
    case 'dots': {
      const data = points(mark.x, mark.y);
      const colour = colourOf(mark.series);
      const look = mark.hollow ? { fill: 'none' } : { fill: colour, fillOpacity: 0.85 };
      const text = { x: 'x', y: 'a', dx: 7, textAnchor: 'start', fill: 'currentColor' } as const;
      return [
        dot(data, { x: 'x', y: 'a', r: 4, stroke: colour, strokeWidth: 1.5, ...look }),
        ...(mark.labels ? [words(data, { ...text, text: mark.labels as string[] })] : []),
      ];
    }
    case 'bars': {
      const data = mark.parts.flatMap(({ series, y }) =>
        mark.categories.map((category, i) => ({ category, y: finite(y[i]), colour: colourOf(series) })),
      );
      return [barY(data, { x: 'category', y: 'y', fill: 'colour' })];
    }
    case 'contours': {
      const { x, y, values } = mark;
      const [[x1, x2], [y1, y2]] = [cellsOf(x), cellsOf(y)];
      const grid = { width: x.length, height: y.length, x1, x2, y1, y2, clip: true };
      return [contour(values as number[], { ...grid, thresholds: 14, fill: identity, stroke: '#0003' })];
    }
  }
}

const scaleOf = ({ label, scale, domain, percent }: Axis, categories: boolean) => ({
  label,
  labelArrow: 'none' as const,
  type: categories ? ('band' as const) : (scale ?? ('linear' as const)),
  ...(domain && { domain: domain as [number, number] }),
  ...(percent && { percent }),
});

/** About as wide as a line of Inter is, in pixels. */
const widthOf = (content: string): number => 6.7 * [...content].length;

/** Width of the longest text beside a point, in pixels. */
const longestLabel = ({ marks }: Panel): number =>
  Math.max(0, ...marks.flatMap((mark) => (mark.kind === 'dots' ? (mark.labels ?? []).map(widthOf) : [])));

/** One panel as the text of an `svg` element. */
function panelSvg(panel: Panel, colourOf: Colours, [width, height]: readonly [number, number]): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const categories = panel.marks.some(({ kind }) => kind === 'bars');
  const plane = panel.marks.find((mark) => mark.kind === 'contours');
  const within = (axis: Axis, grid?: readonly number[]) => (grid ? { ...axis, domain: endsOf(grid) } : axis);
  const drawing = plot({
    document,
    className: 'panel',
    width,
    height,
    marginLeft: 60,
    marginRight: Math.min(16 + longestLabel(panel), width / 3),
    marginTop: 26,
    marginBottom: 38,
    grid: !categories,
    x: {
      ...scaleOf(within(panel.x, plane?.x), categories),
      labelAnchor: 'center',
      ticks: categories ? undefined : 6,
      grid: false,
    },
    y: { ...scaleOf(within({ ...panel.y, label: yLabelOf(panel) }, plane?.y), false), ticks: 5 },
    ...(plane && { color: { scheme: 'Viridis' as const } }),
    marks: panel.marks.flatMap((mark) => drawn(mark, colourOf)),
  });
  // The figure has a style of its own, in which grounds follow the reader's preference.
  for (const style of drawing.querySelectorAll('style')) style.remove();
  // The figure has one name; a name of a group without a role is none that readers may use.
  for (const group of drawing.querySelectorAll('[aria-label]')) {
    group.setAttribute('data-mark', group.getAttribute('aria-label') ?? '');
    group.removeAttribute('aria-label');
  }
  return drawing.outerHTML;
}

const text = (x: number, y: number, content: string, look: string): string =>
  `<text x="${x}" y="${y}" class="${look}">${escaped(content)}</text>`;

/** How much larger than other text a title is. */
const TITLE = 1.45;

/** Names of series beside their colours, in lines of at most `width` pixels; a longer name is broken. */
function legend(series: readonly string[], colourOf: Colours, width: number) {
  let [x, y] = [0, 0];
  const items = series.map((name) => {
    const size = 40 + widthOf(name);
    if (x > 0 && x + size > width) [x, y] = [0, y + 20];
    const left = MARGIN + x;
    const mark = `<rect x="${left}" y="${y}" width="14" height="4" rx="2" fill="${colourOf(name)}"/>`;
    const parts = lines(name, width - 20);
    const texts = parts.map((part, i) => text(left + 20, y + 6 + 16 * i, part, 'name'));
    y += 16 * (parts.length - 1);
    x += size;
    return mark + texts.join('');
  });
  return { items: items.join(''), height: series.length > 0 ? y + 26 : 0 };
}

/** A text broken into lines of at most `width` pixels. */
function lines(content: string, width: number): string[] {
  const broken = [''];
  for (const word of content.split(' ')) {
    const longer = `${broken.at(-1)} ${word}`.trim();
    if (broken.at(-1) !== '' && widthOf(longer) > width) broken.push(word);
    else broken[broken.length - 1] = longer;
  }
  return broken;
}

/**
 * The SVG text of a figure.
 * @param heading draw its title (default true); not where a page has it as a heading
 * @throws RangeError for a figure without panels
 */
export function figureSvg(figure: Figure, heading = true): string {
  const { title, subtitle, caption, columns, panels, panelSize = PANEL } = figure;
  if (panels.length === 0) throw new RangeError('figure: expected one panel at least, got none');
  const series = seriesOf(figure);
  const colours = coloursOf(figure);
  const colourOf: Colours = (name) => COLOURS[colours.get(name) ?? 0] as string;
  const width = Math.min(columns, panels.length) * panelSize[0] + 2 * MARGIN;
  const inner = width - 2 * MARGIN;
  const heads = subtitle === undefined ? [] : lines(subtitle, inner);
  const names = legend(series, colourOf, inner);
  const titles = heading ? lines(title, inner / TITLE) : [];
  const headed = heading ? 24 + 22 * titles.length : 14;
  const legendTop = headed + 18 * heads.length;
  const top = legendTop + names.height;
  const rowHeight = panelSize[1] + 24;
  const bottom = top + Math.ceil(panels.length / columns) * rowHeight;
  const feet = caption === undefined ? [] : lines(caption, inner);
  const height = bottom + 18 * feet.length + MARGIN / 2;
  const placed = panels.map((panel, i) => {
    const [x, y] = [MARGIN + (i % columns) * panelSize[0], top + Math.floor(i / columns) * rowHeight];
    const inside = panelSvg(panel, colourOf, panelSize).replace(/^<svg/, `<svg x="0" y="18"`);
    return `<g transform="translate(${x},${y})">${text(0, 12, panel.title, 'panel-title')}${inside}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" `,
    `viewBox="0 0 ${width} ${height}" role="img"><title>${escaped(title)}</title><style>${STYLE}</style>`,
    `<rect class="ground" width="${width}" height="${height}"/>`,
    ...titles.map((line, i) => text(MARGIN, 30 + 22 * i, line, 'title')),
    ...heads.map((line, i) => text(MARGIN, headed + 4 + 18 * i, line, 'quiet')),
    `<g transform="translate(0,${legendTop})">${names.items}</g>`,
    ...placed,
    ...feet.map((line, i) => text(MARGIN, bottom + 14 + 18 * i, line, 'quiet')),
    '</svg>\n',
  ].join('');
}
