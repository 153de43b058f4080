/** A worker of the page: one thread of ONNX Runtime that answers questions. */
/// <reference lib="webworker" />
import { unpackDigits } from '../../src/insight/page/digits.js';
import { PageAnswers } from '../../src/insight/page/page-answers.js';
import type { Question, Reply } from '../../src/insight/page/questions.js';
import { useWasm, useWebDevice } from '../../src/runtime/execution/wasm.js';

/** What a worker begins with. */
export interface Start {
  readonly engine: ArrayBuffer;
  /** Where its programs run, if not on the processor. */
  readonly device?: 'webgpu';
  readonly digits: Uint8Array;
}

declare const self: DedicatedWorkerGlobalScope;

let answers: PageAnswers | undefined;
/** Questions are answered in their order. */
let last: Promise<void> = Promise.resolve();
const reply = (message: Reply) => self.postMessage(message);

async function answer(id: number, question: Question): Promise<void> {
  try {
    const answered = await answers?.answer(question, (told) => reply({ id, told }));
    reply({ id, answer: answered });
  } catch (error) {
    reply({ id, problem: (error as Error).message.split('\n')[0] as string });
  }
}

self.onmessage = ({ data }: MessageEvent<Start | { id: number; question: Question }>) => {
  if ('engine' in data) {
    useWasm(data.engine);
    useWebDevice(data.device ?? 'cpu');
    answers = new PageAnswers(unpackDigits(data.digits));
    return;
  }
  const { id, question } = data;
  last = last.then(() => answer(id, question));
};
