import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { recordedOutput } from '../testing/io.js';
import { tolerateBrokenPipes } from './broken-pipe.js';
import { Interrupted } from './command.js';
import { interruption } from './interruption.js';

const broken = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });

describe('the process', () => {
  test('goes on when nobody reads its output or its progress, and does not hide other errors', () => {
    const [stdout, stderr] = [recordedOutput().output, recordedOutput().output];
    tolerateBrokenPipes(stdout, stderr);
    for (const output of [stdout, stderr]) {
      expect(() => output.emit('error', broken)).not.toThrow();
      expect(() => output.emit('error', new Error('other'))).toThrow('other');
    }
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])('%s asks for an end first and forces it then', (name) => {
    const [source, codes] = [new EventEmitter(), [] as number[]];
    const signal = interruption(source, (code) => codes.push(code));
    expect(signal.aborted).toBe(false);
    source.emit(name);
    expect([signal.aborted, codes]).toEqual([true, []]);
    expect(signal.reason).toBeInstanceOf(Interrupted);
    source.emit(name);
    expect(codes).toEqual([130]);
  });
});
