import { defineConfig } from 'vitepress';

const group = (text, folder, pages) => ({
  text,
  items: pages.map(([name, title]) => ({ text: title, link: `/${folder}/${name}` })),
});

export default defineConfig({
  title: 'tautnet',
  description: 'Certified training and proofs of robustness',
  srcDir: 'pages',
  outDir: 'dist',
  // Docstrings say <name>: text, not HTML.
  markdown: { html: false },
  vite: { build: { chunkSizeWarningLimit: 5000 } },
  themeConfig: {
    search: { provider: 'local' },
    nav: [{ text: 'API', link: '/api/' }],
    sidebar: [
      group('Guide', 'guide', [
        ['getting-started', 'Getting started'],
        ['train', 'Train'],
        ['certify', 'Certify'],
        ['verify', 'Verify'],
        ['vnnlib', 'Queries of VNN-LIB 2.0'],
        ['look', 'Look at runs'],
        ['page', 'The page'],
        ['data', 'Data'],
        ['devices', 'Devices'],
        ['library', 'The library'],
        ['sweep', 'Sweeps'],
        ['reproduce', 'Reproduce'],
        ['scale', 'Scale'],
      ]),
      group('Concepts', 'concepts', [
        ['smoothing', 'Smoothing'],
        ['relaxations', 'Relaxations'],
        ['training-methods', 'Training methods'],
        ['how-to-choose', 'How to choose'],
        ['verification', 'What a verdict guarantees'],
        ['certificates', 'What a certificate guarantees'],
        ['words', 'Words'],
      ]),
      group('Extending', 'extend', [['index', 'Parts of your own']]),
      group('Reference', 'reference', [
        ['settings', 'Settings'],
        ['versions', 'Versions'],
        ['certified-sets', 'Certified sets'],
        ['certificates', 'The format of certificates'],
        ['project', 'What the owner decides'],
      ]),
      group('Results', 'results', [
        ['mnist', 'MNIST'],
        ['claims', 'Claims of the paper'],
        ['small-s2', 'Claims 1 and 3 at small scale'],
        ['small-s2-beyond', 'Beyond the paper at small scale'],
        ['small-cnn3', 'Claims 1 and 3 with CNN3'],
        ['full-0.3', 'Claims 1 and 3 with CNN3, all of MNIST'],
        ['full-0.1', 'The same at ε 0.1'],
        ['small-t', 'Claim 2 at small scale'],
        ['small-s2-wide', 'S2 with twice the channels'],
        ['small-s2-cifar10', 'S2 on CIFAR-10'],
        ['small-s', 'Claim 2 with a network of 1,354 parameters'],
        ['pgpe-exact', 'PGPE with exact bounds'],
        ['speed', 'Speed and memory'],
      ]),
    ],
  },
});
