/** Tables of Markdown. */

/** A header and rows as a table; what would end a cell or a line is escaped. */
export const markdownTable = (rows: readonly (readonly string[])[]): string =>
  rows
    .flatMap((row, i) => [
      `| ${row.map((cell) => cell.replaceAll('|', '\\|').replace(/[\r\n]+/g, ' ')).join(' | ')} |\n`,
      ...(i === 0 ? [`|${' --- |'.repeat(row.length)}\n`] : []),
    ])
    .join('');
