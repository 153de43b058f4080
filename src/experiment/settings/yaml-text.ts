/** YAML that users write: read once for every kind of file, so that errors name file, line and column. */
import { type Document, LineCounter, parseDocument } from 'yaml';
import { UsageError } from '../errors.js';

export interface YamlText {
  readonly document: Document.Parsed;
  /** "a.yaml, line 3, column 5: " for an offset in the text. */
  at(offset: number | undefined): string;
  /**
   * A node without YAML's wrapping.
   * @param place "a.yaml, line 3, column 5: ". @throws UsageError for an alias without anchor, or too many
   */
  plain(node: unknown, place: string): unknown;
}

/** @param source what errors call the text. @throws UsageError for what is no YAML */
export function yamlText(text: string, source: string): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number | undefined): string => {
    const { line, col } = lines.linePos(offset ?? 0);
    return `${source}, line ${Math.max(line, 1)}, column ${Math.max(col, 1)}: `;
  };
  const refuse = (place: string, message: string, cause?: unknown): never => {
    throw new UsageError(`${place}expected YAML; ${message.split('\n')[0]}`, { cause });
  };
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) refuse(at(problem.pos[0]), problem.message);
  return {
    document,
    at,
    plain(node, place) {
      try {
        return (node as { toJS?: (document: Document) => unknown } | null)?.toJS?.(document) ?? null;
      } catch (error) {
        return refuse(place, (error as Error).message, error);
      }
    },
  };
}
