/** JPEG images, decoded by mozjpeg (`@jsquash/jpeg`): bit for bit what libjpeg-turbo gives. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { FormatError } from './format-error.js';

/** Pixels of an image: red, green, blue, alpha of each, row by row. */
export interface RgbaImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

export type JpegDecoder = (bytes: Uint8Array) => Promise<RgbaImage>;

interface Codec {
  decode(bytes: Uint8Array, preserveOrientation: boolean): RgbaImage | null;
}
type CodecFactory = (options: {
  readonly wasmBinary: Uint8Array;
  readonly printErr: (text: string) => void;
}) => Promise<Codec>;

const CODEC = '@jsquash/jpeg/codec/dec/mozjpeg_dec';

/** A decoder; an image that is damaged or cut short is refused. @throws FormatError from the decoder */
export async function jpegDecoder(): Promise<JpegDecoder> {
  provideImageData();
  const { default: factory } = (await import(`${CODEC}.js`)) as { default: CodecFactory };
  const wasmBinary = await readFile(createRequire(import.meta.url).resolve(`${CODEC}.wasm`));
  let complaints: string[] = [];
  const open = (): Promise<Codec> =>
    factory({
      wasmBinary,
      // libjpeg goes on after a damaged segment and fills up with grey; it only says so.
      printErr: (text) => void complaints.push(text),
    });
  let codec = await open();
  return async (bytes) => {
    complaints = [];
    let image: RgbaImage | null = null;
    try {
      image = codec.decode(bytes, false);
    } catch {
      // libjpeg ends its program at an error: the next image needs another one.
      codec = await open();
    }
    if (image === null || complaints.length > 0)
      throw new FormatError(
        `${bytes.length} bytes that cannot be decoded (${complaints[0]?.trim() || 'no JPEG image'})`,
      );
    return image;
  };
}

/** The decoder returns the browser's `ImageData`, which Node.js lacks. */
function provideImageData(): void {
  const scope = globalThis as { ImageData?: unknown };
  scope.ImageData ??= class ImageData implements RgbaImage {
    constructor(
      readonly data: Uint8ClampedArray,
      readonly width: number,
      readonly height: number,
    ) {}
  };
}
