#!/usr/bin/env node
/**
 * `node checker/main.js CERTIFICATE MODEL.onnx PROPERTY.vnnlib`, or `… IMAGES LABELS` (two IDX files, plain
 * or gzip): the checker alone, without the rest of the package. Exit code 0 if all is proved, 1 if not.
 */
import { readFile } from 'node:fs/promises';
import { check, plain } from './check.js';

const [certificate, model, first, second] = process.argv.slice(2);
try {
  if (first === undefined)
    throw new Error('expected CERTIFICATE MODEL PROPERTY, or CERTIFICATE MODEL IMAGES LABELS');
  const files = [certificate, model, first].map((path) => readFile(path));
  const [proof, network, data] = await Promise.all(files);
  const given = { certificate: proof, model: network };
  if (second !== undefined) {
    // IDX: a type, the number of dimensions, each as four bytes, then the values, here bytes.
    const values = (bytes) => bytes.subarray(4 + 4 * bytes[3]);
    const labels = values(await plain(await readFile(second)));
    given.images = { images: values(await plain(data)), labels, count: labels.length };
  } else given.property = data;
  const { what, proved, of } = await check(given);
  console.log(`proved: ${proved} of ${of} ${what}`);
} catch (error) {
  console.error(`not proved: ${/** @type {Error} */ (error).message}`);
  process.exitCode = 1;
}
