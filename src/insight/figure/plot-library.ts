/** The packages that figures are drawn with. The build puts what is used of them into this one file. */
export { areaY, barY, contour, dot, identity, line, plot, text } from '@observablehq/plot';
export { parseHTML } from 'linkedom';
