/** A pad to draw a digit on, with a mouse, a finger or a pen. */
import { useState } from 'preact/hooks';
import { digitOf, type Stroke } from '../../src/insight/page/pad.js';

const SIDE = 280;

export function Pad({ draw }: { draw: (pixels: Uint8Array) => void }) {
  const [strokes, setStrokes] = useState<readonly Stroke[]>([]);
  const [drawing, setDrawing] = useState(false);
  const placeOf = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return {
      x: (SIDE * (event.clientX - box.left)) / box.width,
      y: (SIDE * (event.clientY - box.top)) / box.height,
    };
  };
  const begin = (event: PointerEvent) => {
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    setDrawing(true);
    setStrokes([...strokes, [placeOf(event)]]);
  };
  const move = (event: PointerEvent) => {
    if (drawing) setStrokes([...strokes.slice(0, -1), [...(strokes.at(-1) ?? []), placeOf(event)]]);
  };
  const end = () => {
    if (!drawing) return;
    setDrawing(false);
    const pixels = digitOf(strokes);
    if (pixels) draw(pixels);
  };
  return (
    <div class="pad">
      <svg
        viewBox={`0 0 ${SIDE} ${SIDE}`}
        role="img"
        aria-label="drawing pad: draw a digit here, or choose a test image below"
        onPointerDown={begin}
        onPointerMove={move}
        onPointerUp={end}
        onPointerCancel={end}
      >
        {strokes.map((stroke, i) => (
          <polyline
            key={i}
            points={[...stroke, ...stroke.slice(0, stroke.length === 1 ? 1 : 0)]
              .map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`)
              .join(' ')}
          />
        ))}
      </svg>
      {strokes.length === 0 && <span aria-hidden="true">draw a digit</span>}
      <button type="button" onClick={() => setStrokes([])} disabled={strokes.length === 0}>
        Clear
      </button>
    </div>
  );
}
