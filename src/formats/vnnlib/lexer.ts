/**
 * S-expressions of SMT-LIB as a stream of tokens: parentheses and words, with their places.
 *
 * Bytes come in pieces of any size, cut anywhere; a token is handed on as soon as its end is seen, so that a
 * file is never in memory as a whole. Comments run from `;` to the end of the line. "Strings", names of ONNX
 * values in version 2.0, are words with their quotation marks; |quoted symbols| occur only in commands that
 * say nothing about the property and are handed on as the word `|…|`.
 * Source: Barrett, Fontaine, Tinelli, *The SMT-LIB Standard 2.6*, section 3.1.
 */
import { FormatError } from '../format-error.js';

/** Where a token begins: line and column, in bytes, both from 1. */
export interface TokenSink {
  open(line: number, column: number): void;
  close(line: number, column: number): void;
  word(text: string, line: number, column: number): void;
}

export interface Lexer {
  /** @throws FormatError, or whatever the sink throws */
  push(bytes: Uint8Array): void;
  /** To be called once after the last bytes. */
  end(): void;
}

/** The error of a place in a file. */
export const errorAt = (source: string, line: number, column: number, message: string): FormatError =>
  new FormatError(`${source}:${line}:${column}: ${message}`);

/** Text of a file as an error may quote it. */
export const quoted = (text: string): string => (text.length <= 40 ? text : `${text.slice(0, 40)}…`);

/**
 * A decimal that stands for a float64 exactly takes up to 1,080 characters; longer words are no numbers and
 * no variables.
 */
const LONGEST_WORD = 4096;

const [WORD, SPACE, NEWLINE, OPEN, CLOSE, COMMENT, QUOTE, INVALID] = [0, 1, 2, 3, 4, 5, 6, 7];
const KIND = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x21 || byte > 0x7e ? (INVALID as number) : (WORD as number),
);
for (const [characters, kind] of [
  [' \t\r', SPACE],
  ['\n', NEWLINE],
  ['(', OPEN],
  [')', CLOSE],
  [';', COMMENT],
  ['|"', QUOTE],
] as const) {
  for (const character of characters) KIND[character.charCodeAt(0)] = kind as number;
}

const [LINE_FEED, CARRIAGE_RETURN] = [0x0a, 0x0d];
const STRING = 0x22;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

export function createLexer(source: string, sink: TokenSink): Lexer {
  let line = 1;
  /** Bytes of the file before this line, and before the bytes at hand. */
  let [lineStart, before] = [0, 0];
  let state: 'between' | 'word' | 'comment' | 'quote' = 'between';
  /** The beginning of a word that the last bytes broke off, and where the word or quotation began. */
  let [begun, beginLine, beginColumn] = ['', 1, 1];
  let quote = 0;

  const finishWord = (end: string): void => {
    const text = begun + end;
    if (text.length > LONGEST_WORD)
      throw errorAt(
        source,
        beginLine,
        beginColumn,
        `expected words of at most ${LONGEST_WORD} characters, got ${quoted(text)}`,
      );
    begun = '';
    state = 'between';
    sink.word(text, beginLine, beginColumn);
  };

  const finishQuote = (): void => {
    const isText = quote === STRING && begun.length <= LONGEST_WORD;
    const text = isText ? Buffer.from(begun, 'latin1').toString('utf8') : '|…|';
    begun = '';
    state = 'between';
    sink.word(text, beginLine, beginColumn);
  };

  const push = (bytes: Uint8Array): void => {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { length } = bytes;
    let i = 0;
    while (i < length) {
      if (state === 'word') {
        const from = i;
        while (i < length && KIND[bytes[i] as number] === WORD) i++;
        if (i < length) finishWord(text.toString('latin1', from, i));
        else begun += text.toString('latin1', from, Math.min(i, from + LONGEST_WORD + 1));
        if (begun.length > LONGEST_WORD) finishWord('');
      } else if (state === 'comment') {
        while (i < length && bytes[i] !== LINE_FEED && bytes[i] !== CARRIAGE_RETURN) i++;
        if (i < length) state = 'between';
      } else if (state === 'quote') {
        const from = i;
        while (i < length && bytes[i] !== quote && bytes[i] !== LINE_FEED) i++;
        if (begun.length <= LONGEST_WORD)
          begun += text.toString('latin1', from, Math.min(i + 1, length, from + LONGEST_WORD + 1));
        const byte = i < length ? bytes[i++] : undefined;
        if (byte === LINE_FEED) [line, lineStart] = [line + 1, before + i];
        if (byte === quote) finishQuote();
      } else {
        const byte = bytes[i] as number;
        const kind = KIND[byte];
        const column = before + i - lineStart + 1;
        if (kind === WORD) {
          state = 'word';
          beginLine = line;
          beginColumn = column;
          continue;
        }
        i++;
        if (kind === OPEN) sink.open(line, column);
        else if (kind === CLOSE) sink.close(line, column);
        else if (kind === NEWLINE) {
          line++;
          lineStart = before + i;
        } else if (kind === COMMENT) state = 'comment';
        else if (kind === QUOTE) {
          state = 'quote';
          quote = byte;
          begun = '"';
          beginLine = line;
          beginColumn = column;
        } else if (kind === INVALID && BYTE_ORDER_MARK[before + i - 1] !== byte) {
          throw errorAt(
            source,
            line,
            column,
            `expected ASCII text outside of comments, got the byte 0x${byte.toString(16).padStart(2, '0')}`,
          );
        }
      }
    }
    before += length;
  };

  const end = (): void => {
    if (state === 'word') finishWord('');
    if (state === 'quote')
      throw errorAt(
        source,
        beginLine,
        beginColumn,
        `expected a closing ${String.fromCharCode(quote)}, got the end of the file`,
      );
  };

  return { push, end };
}
