/** A figure of the library, drawn from the same plain data as its SVG and PNG files. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Axis, Figure, Mark, Panel } from '../../src/insight/figure/figure.js';
import { coloursOf, yLabelOf } from '../../src/insight/figure/figure.js';
import { short } from './parts.js';

const [LEFT, RIGHT, TOP, BOTTOM] = [52, 14, 10, 36];

interface Extent {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

type Points = Pick<Mark & { kind: 'line' }, 'x' | 'y'>;
const pointsOf = (mark: Mark): Points => {
  if (mark.kind === 'line' || mark.kind === 'dots') return mark;
  if (mark.kind === 'band') return { x: [...mark.x, ...mark.x], y: [...mark.lower, ...mark.upper] };
  return { x: [], y: [] };
};

function extent(values: readonly number[], { domain }: Axis): readonly [number, number] {
  const finite = values.filter(Number.isFinite);
  if (domain) finite.push(...domain);
  if (finite.length === 0) return [0, 1];
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const room = high > low ? 0.03 * (high - low) : Math.abs(high) || 1;
  return domain ? [low, high] : [low - room, high + room];
}

/** About `count` round numbers between two ends. */
export function ticks([low, high]: readonly [number, number], count = 5): number[] {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((size) => size >= raw) ?? raw;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

interface Place {
  readonly px: (x: number) => number;
  readonly py: (y: number) => number;
}

const path = (xs: readonly number[], ys: readonly number[], { px, py }: Place): string =>
  xs
    .map((x, i) => ({ x, y: ys[i] ?? Number.NaN }))
    .map(({ x, y }) =>
      Number.isFinite(x) && Number.isFinite(y) ? `${px(x).toFixed(1)},${py(y).toFixed(1)}` : ' ',
    )
    .join(' ')
    .split(/ {2,}/)
    .filter((part) => part !== '')
    .map((part) => `M${part.trim().split(' ').join('L')}`)
    .join('');

function Drawn({ mark, place, colour }: { mark: Mark; place: Place; colour: (series: string) => string }) {
  const { px, py } = place;
  if (mark.kind === 'line')
    return (
      <path
        class={`curve ${colour(mark.series)}`}
        data-dashed={mark.dashed || undefined}
        d={path(mark.x, mark.y, place)}
      />
    );
  if (mark.kind === 'band') {
    const outline = [...mark.lower, ...mark.upper.toReversed()];
    return (
      <path
        class={`band ${colour(mark.series)}`}
        d={`${path([...mark.x, ...mark.x.toReversed()], outline, place)}Z`}
      />
    );
  }
  if (mark.kind !== 'dots') return null;
  return (
    <g class={`points ${colour(mark.series)}`} data-hollow={mark.hollow || undefined}>
      {mark.x.map((x, i) => (
        <circle key={`${i}:${x}`} cx={px(x)} cy={py(mark.y[i] as number)} r="5">
          <title>{`${mark.labels?.[i] ?? mark.series}: ${short(x)}, ${short(mark.y[i] as number)}`}</title>
        </circle>
      ))}
    </g>
  );
}

function Axes({
  panel,
  place,
  size: [width, height],
  ...ends
}: { panel: Panel; place: Place; size: readonly [number, number] } & Extent) {
  const text = ({ percent }: Axis, value: number) => short(percent ? 100 * value : value);
  return (
    <g class="axes">
      {ticks(ends.y, 5).map((y) => (
        <g key={y}>
          <line x1={LEFT} x2={width - RIGHT} y1={place.py(y)} y2={place.py(y)} />
          <text x={LEFT - 6} y={place.py(y) + 4} text-anchor="end">
            {text(panel.y, y)}
          </text>
        </g>
      ))}
      {ticks(ends.x, Math.min(7, Math.floor(width / 80))).map((x) => (
        <text key={x} x={place.px(x)} y={height - BOTTOM + 16} text-anchor="middle">
          {text(panel.x, x)}
        </text>
      ))}
      <text x={(LEFT + width - RIGHT) / 2} y={height - 3} text-anchor="middle" class="label">
        {panel.x.label}
      </text>
    </g>
  );
}

function Bars({ mark, colour }: { mark: Mark & { kind: 'bars' }; colour: (series: string) => string }) {
  const totals = mark.categories.map((_, i) => mark.parts.reduce((sum, { y }) => sum + (y[i] ?? 0), 0));
  const most = Math.max(...totals, 1e-9);
  return (
    <div class="bars">
      {mark.categories.map((category, i) => (
        <div class="bar" key={category}>
          <span>{category}</span>
          <svg
            viewBox="0 0 100 10"
            preserveAspectRatio="none"
            role="img"
            aria-label={`${category}: ${mark.parts.map(({ series, y }) => `${series} ${short(y[i] ?? 0)}`).join(', ')}`}
          >
            {mark.parts.map(({ series, y }, k) => {
              const before = mark.parts.slice(0, k).reduce((sum, part) => sum + (part.y[i] ?? 0), 0);
              return (
                <rect
                  key={series}
                  class={`fill ${colour(series)}`}
                  x={(100 * before) / most}
                  y="0"
                  height="10"
                  width={(100 * (y[i] ?? 0)) / most}
                />
              );
            })}
          </svg>
        </div>
      ))}
    </div>
  );
}

interface PanelProps {
  readonly panel: Panel;
  /** What the figure wishes for; text keeps its size where there is less room. */
  readonly size: readonly [number, number];
  readonly colour: (series: string) => string;
}

/** Least height of a panel with axes, in pixels. */
const LEAST_HEIGHT = 200;

/** The width that a drawing has on the page, in pixels. */
function useWidth(wished: number) {
  const drawing = useRef<SVGSVGElement>(null);
  const [width, setWidth] = useState(wished);
  useLayoutEffect(() => {
    if (drawing.current === null) return;
    const observer = new ResizeObserver(([entry]) => {
      const found = Math.round(entry?.contentRect.width ?? 0);
      if (found > 0) setWidth(found);
    });
    observer.observe(drawing.current);
    return () => observer.disconnect();
  }, []);
  return { drawing, width };
}

function Axed({ panel, size: [wished, high], colour }: PanelProps) {
  const { drawing, width } = useWidth(wished);
  const height = Math.max(LEAST_HEIGHT, Math.round((high * width) / wished));
  const points = panel.marks.map(pointsOf);
  const ends: Extent = {
    x: extent(
      points.flatMap(({ x }) => x),
      panel.x,
    ),
    y: extent(
      points.flatMap(({ y }) => y),
      panel.y,
    ),
  };
  const between = (value: number, [low, high]: readonly [number, number], from: number, to: number) =>
    from + ((value - low) / (high - low || 1)) * (to - from);
  const place: Place = {
    px: (x) => between(x, ends.x, LEFT, width - RIGHT),
    py: (y) => between(y, ends.y, height - BOTTOM, TOP),
  };
  return (
    <div class="panel">
      <h3>
        {panel.title} <small>{yLabelOf(panel)}</small>
      </h3>
      <svg ref={drawing} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={panel.title}>
        <Axes panel={panel} place={place} size={[width, height]} {...ends} />
        {panel.marks.map((mark, i) => (
          <Drawn key={`${i}:${mark.kind}`} mark={mark} place={place} colour={colour} />
        ))}
      </svg>
    </div>
  );
}

function PanelView(props: PanelProps) {
  const { panel, colour } = props;
  const bars = panel.marks.find((mark) => mark.kind === 'bars');
  if (bars === undefined) return <Axed {...props} />;
  return (
    <div class="panel">
      <h3>{panel.title}</h3>
      <Bars mark={bars} colour={colour} />
    </div>
  );
}

/** Series that are nothing but curves and their bands: the legend shows them as lines. */
const isCurve = ({ panels }: Figure, series: string): boolean =>
  panels.every(({ marks }) =>
    marks.every(
      (mark) =>
        mark.kind === 'line' ||
        mark.kind === 'band' ||
        (mark.kind === 'bars' ? mark.parts.every((part) => part.series !== series) : mark.series !== series),
    ),
  );

export function FigureView({ figure }: { figure: Figure }) {
  const colours = coloursOf(figure);
  const series = [...colours.keys()];
  const colour = (name: string) => `c${colours.get(name) ?? 0}`;
  return (
    <section class="figure">
      <h2>{figure.title}</h2>
      {series.length > 0 && (
        <ul class="legend">
          {series.map((name) => (
            <li key={name} class={isCurve(figure, name) ? `line ${colour(name)}` : colour(name)}>
              {name}
            </li>
          ))}
        </ul>
      )}
      <div class="panels">
        {figure.panels.map((panel) => (
          <PanelView key={panel.title} panel={panel} size={figure.panelSize ?? [420, 260]} colour={colour} />
        ))}
      </div>
      {figure.caption && <p class="quiet">{figure.caption}</p>}
    </section>
  );
}
