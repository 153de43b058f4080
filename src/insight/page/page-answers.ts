/** Answers to the page's questions, in a worker of it: the look-inside view on a drawn or a test digit. */
import type { Split } from '../../data/dataset.js';
import { type EpochCourse, trainInMemory } from '../../experiment/train-in-memory.js';
import { exportOnnx } from '../../network/onnx/export.js';
import { certify } from '../../verification/certification/cascade.js';
import type { RadiusAnswer } from '../dashboard/answers.js';
import { ImageLook, type TellRadii } from '../dashboard/look.js';
import { DIGITS, type Digits, PIXELS } from './digits.js';
import { openPageNetwork, type PageNetwork } from './page-network.js';
import type { CertifyAnswer, Digit, Question, TrainAnswer } from './questions.js';

/** A digit that is looked at, by its number among the images of a look. */
interface Seen {
  readonly look: ImageLook;
  readonly image: number;
}

/** Answers questions one after the other; the network opened last is the one that is looked into. */
export class PageAnswers {
  readonly #digits: Digits;
  #network: PageNetwork | undefined;
  #look: ImageLook | undefined;
  /** The digit that was drawn last, with the class that the network gives it as its label. */
  #drawn: { readonly pixels: Uint8Array; readonly look: ImageLook } | undefined;

  constructor(digits: Digits) {
    this.#digits = digits;
  }

  /** @throws Error, one line for what cannot be answered */
  async answer(question: Question, watch: (course: EpochCourse) => void = () => undefined): Promise<unknown> {
    switch (question.kind) {
      case 'open':
        return this.#open(question.bytes, question.name);
      case 'images':
        return this.#opened().images(question.from, question.count);
      case 'certify':
        return this.#certify(question.epsilon);
      case 'train':
        return this.#train(question.epsilon, question.epochs, watch);
    }
    const { look, image } = await this.#seen(question.digit);
    if (question.kind === 'look') return look.step(image, question.epsilon, question.relaxations);
    return question.kind === 'attack' ? look.attack(image, question.epsilon) : this.#radii({ look, image });
  }

  async #radii({ look, image }: Seen): Promise<RadiusAnswer[]> {
    const radii: RadiusAnswer[] = [];
    const tell: TellRadii = (event, value) => event === 'radius' && radii.push(value);
    await look.radii(image, tell, new AbortController().signal);
    return radii;
  }

  #opened(): ImageLook {
    if (this.#look === undefined) throw new Error('expected a network, none is open; drop an ONNX file');
    return this.#look;
  }

  async #open(bytes: Uint8Array, name: string) {
    const opened = openPageNetwork(bytes, name);
    const { network, parameters, described } = opened;
    const dataset = { test: this.#digits.test, shape: DIGITS.shape };
    const look = new ImageLook({ network, parameters, dataset, clip: true, exactSeconds: 0 });
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

  async #train(epsilon: number, epochs: number, watch: (course: EpochCourse) => void): Promise<TrainAnswer> {
    const { train, test: held } = this.#digits;
    const options = { train, held, description: DIGITS, epsilon, epochs, watch };
    const { network, parameters } = await trainInMemory(options);
    return { bytes: exportOnnx(network, parameters, { dataset: 'mnist', epsilon }) };
  }
}
