#!/usr/bin/env node
/**
 * `node checker/main.js CERTIFICATE MODEL.onnx PROPERTY.vnnlib`, or `… IMAGES LABELS` (two IDX files, plain
 * or gzip): the checker alone, without the rest of the package. Exit code 0 if all is proved, 1 if not.
 */
import { readFile } from 'node:fs/promises';
import { check, plain } from './check.js';
import { demand } from './onnx.js';

/** An IDX file has a type, the number of dimensions, each as four bytes, then the values, here bytes. */
const values = (bytes) => bytes.subarray(4 + 4 * bytes[3]);
try {
  const files = await Promise.all(process.argv.slice(2).map(async (path) => plain(await readFile(path))));
  const [certificate, model, property, labels] = files;
  demand(property, 'expected CERTIFICATE MODEL, then PROPERTY or IMAGES LABELS');
  const split = labels && { images: values(property), labels: values(labels), count: values(labels).length };
  const { what, proved, of } = await check({ certificate, model, property, images: split });
  console.log(`proved: ${proved} of ${of} ${what}`);
} catch (error) {
  console.error(`not proved: ${error.message}`);
  process.exitCode = 1;
}
