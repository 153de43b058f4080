/**
 * Training steps per second of every method, on CNN3 (MNIST) and CNN5 (CIFAR-10) at the batch of their
 * recipes, on all cores.
 */
import { createPool } from 'tautnet';
import { batchSeconds, digits, RECIPES, trainingOf } from './training.mjs';

const METHODS = {
  natural: { method: 'natural' },
  pgd: { method: 'pgd' },
  ibp: { relaxation: 'ibp' },
  'crown-ibp': { relaxation: 'crown-ibp' },
  'crown-ibp-fusion': { relaxation: 'crown-ibp', lossFusion: true },
  crown: { relaxation: 'crown' },
  hbox: { relaxation: 'hbox' },
  deepz: { relaxation: 'deepz' },
  sabr: { method: 'sabr' },
  taps: { method: 'taps' },
  staps: { method: 'staps' },
  'mtl-ibp': { method: 'mtl-ibp' },
  'cc-ibp': { method: 'cc-ibp' },
  'exp-ibp': { method: 'exp-ibp' },
};

/** Prints the table; `only`: names of methods. @returns steps per second by network and method */
export async function methods(only) {
  const names = Object.keys(METHODS).filter((name) => only === undefined || only.includes(name));
  const rates = {};
  console.log('Training steps per second at the start of training, ε full');
  console.log('| method | CNN3, MNIST, batch 256 | CNN5, CIFAR-10, batch 128 |\n| --- | --- | --- |');
  for (const name of names) {
    const cells = [];
    for (const [network, recipe] of Object.entries(RECIPES)) {
      const { settings, theta, on } = trainingOf({ ...recipe, ...METHODS[name] });
      const pool = createPool(settings.threads);
      const { seconds, whole } = await batchSeconds((count) => on(pool, count).gradient(theta), settings);
      await pool.close();
      rates[network] = { ...rates[network], [name]: 1 / seconds };
      cells.push(`${digits(1 / seconds)}${whole ? '' : ' *'}`);
    }
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
  console.log('* from one micro-batch for each core\n');
  return rates;
}
