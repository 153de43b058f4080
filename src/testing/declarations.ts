/** Declaration files of the build, read as far as the tests of the doors need it. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where a name is declared. */
export interface Declared {
  readonly file: string;
  readonly name: string;
  /** The declaration without comments. */
  readonly text: string;
  /** Whether a doc comment stands right before it. */
  readonly documented: boolean;
}

interface Source {
  /** Local name → file and name there. */
  readonly imports: ReadonlyMap<string, readonly [file: string, name: string]>;
  /** Exported name → file and name there. */
  readonly forwards: ReadonlyMap<string, readonly [file: string, name: string]>;
  readonly declared: ReadonlyMap<string, Declared>;
  readonly text: string;
}

const sources = new Map<string, Source>();
const START = /^(?:export|import|declare|interface|type|class|abstract)\b/;

function sourceOf(file: string): Source {
  const known = sources.get(file);
  if (known) return known;
  const text = readFileSync(file, 'utf8');
  const imports = new Map<string, readonly [string, string]>();
  const forwards = new Map<string, readonly [string, string]>();
  const declared = new Map<string, Declared>();
  for (const { statement, documented } of statements(text)) {
    const from = /from '(\.[^']*)\.js';?\s*$/.exec(statement)?.[1];
    const names = /^(?:import|export)\s+(?:type\s+)?\{([\s\S]*?)\}/.exec(statement)?.[1];
    const space = /^(?:import|export)\s+\*\s+as\s+(\w+)/.exec(statement)?.[1];
    const target = from && join(dirname(file), `${from}.d.ts`);
    const into = statement.startsWith('import') ? imports : forwards;
    if (space !== undefined && target) into.set(space, [target, '*']);
    for (const part of names?.split(',') ?? []) {
      const [, name = '', as = name] = /^\s*(?:type\s+)?(\w+)(?:\s+as\s+(\w+))?\s*$/.exec(part) ?? [];
      if (name !== '') into.set(as, [target ?? file, name]);
    }
    const declaration =
      /^(?:export\s+)?(?:declare\s+)?(?:abstract\s+)?(?:const|let|function|class|interface|type)\s+(\w+)/.exec(
        statement,
      )?.[1];
    if (declaration !== undefined && names === undefined)
      declared.set(declaration, {
        file,
        name: declaration,
        text: `${declared.get(declaration)?.text ?? ''}\n${statement}`,
        documented: documented || declared.get(declaration)?.documented === true,
      });
  }
  const source = { imports, forwards, declared, text };
  sources.set(file, source);
  return source;
}

/** Top-level statements without comments. */
function statements(text: string): { statement: string; documented: boolean }[] {
  const found: { statement: string; documented: boolean }[] = [];
  let documented = false;
  for (const line of text.replace(/\/\*\*[\s\S]*?\*\//g, '/** */').split('\n')) {
    if (line.startsWith('/** */')) documented = true;
    else if (START.test(line)) {
      found.push({ statement: line, documented });
      documented = false;
    } else if (found.length > 0) (found.at(-1) as { statement: string }).statement += `\n${line}`;
  }
  return found.map(({ statement, documented: has }) => ({
    statement: statement.replaceAll('/** */', ''),
    documented: has,
  }));
}

/** Where a name of a file comes from; undefined for names of other packages. */
export function declarationOf(file: string, name: string): Declared | undefined {
  const { imports, forwards, declared } = sourceOf(file);
  const own = declared.get(name);
  if (own) return own;
  const [from, original] = forwards.get(name) ?? imports.get(name) ?? [];
  if (from === undefined || original === undefined) return undefined;
  if (original === '*') return { file: from, name: '*', text: '', documented: true };
  if (from === file && original === name) return undefined;
  return declarationOf(from, original);
}

/** Names that a file exports by lists, `export { … } from`. */
export const exportedNames = (file: string): string[] => [...sourceOf(file).forwards.keys()].sort();

/** Whether a file exports without saying what. */
export const hasStar = (file: string): boolean => /^export \* from/m.test(sourceOf(file).text);

/** Types of this package that a declaration mentions. */
export function mentioned({ file, text, name }: Declared): Declared[] {
  const elsewhere = [...text.matchAll(/import\("(\.[^"]*)\.js"\)\.(\w+)/g)].flatMap(
    ([, from, type]) => declarationOf(join(dirname(file), `${from}.d.ts`), type as string) ?? [],
  );
  const names = new Set(
    text
      .replace(/'[^']*'|"[^"]*"/g, '')
      .match(/(?<![.\w])[A-Z]\w*/g)
      ?.filter((each) => each !== name),
  );
  return [...[...names].flatMap((each) => declarationOf(file, each) ?? []), ...elsewhere];
}
