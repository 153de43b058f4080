/** Answers to the page's questions, in a worker of it: the look-inside view on a drawn or a test digit. */
import type { Split } from '../../data/dataset.js';
import { trainInMemory } from '../../experiment/train-in-memory.js';
import { exportOnnx } from '../../network/onnx/export.js';
import type { Device } from '../../runtime/device/device.js';
import { webDevice } from '../../runtime/execution/wasm.js';
import { differenceFromCpu, TOLERANCE } from '../../runtime/survey/self-test.js';
import { certify } from '../../verification/certification/cascade.js';
import { ImageLook } from '../dashboard/look.js';
import { DIGITS, type Digits, PIXELS } from './digits.js';
import { openPageNetwork, type PageNetwork } from './page-network.js';
import type { CertifyAnswer, Digit, Question, RadiiAnswer, Told, TrainAnswer } from './questions.js';

/** @throws Error, one line, if a device does not compute what the CPU does */
async function selfTest(device: Device): Promise<void> {
  const difference = await differenceFromCpu(device);
  if (!(difference <= TOLERANCE))
    throw new Error(
      `${device}: expected values within ${TOLERANCE} of the CPU's, got ${difference.toPrecision(2)}; ` +
        'use the device cpu',
    );
}

/** A digit that is looked at, by its number among the images of a look. */
interface Seen {
  readonly look: ImageLook;
  readonly image: number;
}

/** Answers questions one after the other; the network opened last is the one that is looked into. */
export class PageAnswers {
  readonly #digits: Digits;
  readonly #exactSeconds: number | undefined;
  #network: PageNetwork | undefined;
  #look: ImageLook | undefined;
  /** The digit that was drawn last, with the class that the network gives it as its label. */
  #drawn: { readonly pixels: Uint8Array; readonly look: ImageLook } | undefined;

  /** `exactSeconds`: for the exact radius of a digit (default 20). */
  constructor(digits: Digits, { exactSeconds }: { readonly exactSeconds?: number } = {}) {
    this.#digits = digits;
    this.#exactSeconds = exactSeconds;
  }

  /**
   * The answer to a question; `tell` is told what is known before it.
   * @throws Error, one line for what cannot be answered
   */
  async answer(question: Question, tell: (told: Told) => void = () => undefined): Promise<unknown> {
    switch (question.kind) {
      case 'open':
        return this.#open(question.bytes, question.name);
      case 'self-test':
        return selfTest(webDevice());
      case 'images':
        return this.#opened().images(question.from, question.count);
      case 'certify':
        return this.#certify(question.epsilon);
      case 'train':
        return this.#train(question.epsilon, question.epochs, tell);
    }
    const { look, image } = await this.#seen(question.digit);
    if (question.kind === 'look') return look.step(image, question.epsilon, question.relaxations);
    if (question.kind === 'attack') return look.attack(image, question.epsilon);
    return this.#radii({ look, image }, tell);
  }

  /** Whoever does not wait any more ends the worker: nothing else stops a search that keeps its thread. */
  async #radii({ look, image }: Seen, tell: (known: RadiiAnswer) => void): Promise<RadiiAnswer> {
    let known: RadiiAnswer = { radii: [] };
    const signal = new AbortController().signal;
    await look.radii(
      image,
      (...[event, value]) => {
        known =
          event === 'radius' ? { ...known, radii: [...known.radii, value] } : { ...known, exact: value };
        tell(known);
      },
      signal,
    );
    return known;
  }

  #opened(): ImageLook {
    if (this.#look === undefined) throw new Error('expected a network, none is open; drop an ONNX file');
    return this.#look;
  }

  async #open(bytes: Uint8Array, name: string) {
    const opened = openPageNetwork(bytes, name);
    const { network, parameters, described } = opened;
    const dataset = { test: this.#digits.test, shape: DIGITS.shape };
    const look = new ImageLook({
      network,
      parameters,
      dataset,
      clip: true,
      exactSeconds: this.#exactSeconds,
    });
    const before = this.#look;
    this.#network = opened;
    this.#look = look;
    this.#drawn = undefined;
    await before?.close();
    return described;
  }

  async #seen(digit: Digit): Promise<Seen> {
    const opened = this.#opened();
    if ('image' in digit) return { look: opened, image: digit.image };
    const { pixels } = digit;
    if (pixels.length !== PIXELS)
      throw new Error(`expected a digit of ${PIXELS} pixels, got ${pixels.length}; draw it again`);
    if (this.#drawn?.pixels.every((value, i) => value === pixels[i]) !== true) {
      const images: Split = { images: pixels, labels: Uint8Array.of(0), count: 1 };
      const label = await opened.on(images).classOf(0);
      this.#drawn = { pixels, look: opened.on({ ...images, labels: Uint8Array.of(label) }) };
    }
    return { look: this.#drawn.look, image: 0 };
  }

  async #certify(epsilon: number): Promise<CertifyAnswer> {
    this.#opened();
    const { network, parameters } = this.#network as PageNetwork;
    const split = this.#digits.test;
    const { images, natural, adversarial, certified } = await certify({
      network,
      parameters,
      split,
      epsilon,
    });
    return { images, epsilon, natural, adversarial, certified };
  }

  async #train(epsilon: number, epochs: number, watch: (told: Told) => void): Promise<TrainAnswer> {
    const { train, test: held } = this.#digits;
    const options = { train, held, description: DIGITS, epsilon, epochs, watch };
    const { network, parameters } = await trainInMemory(options);
    return { bytes: exportOnnx(network, parameters, { dataset: 'mnist', epsilon }) };
  }
}
