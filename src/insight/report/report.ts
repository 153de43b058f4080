/** A report on a run: everything that its folder says, and what its data set adds, as one HTML page. */

import { allocateBatch, assembleBatch } from '../../data/batches.js';
import type { Dataset } from '../../data/dataset.js';
import { reluActivity } from '../../evaluation/neuron-activity.js';
import { UsageError } from '../../experiment/errors.js';
import { misfitOf } from '../../experiment/misfit.js';
import { percent } from '../../experiment/percent.js';
import { quoted, titleOf } from '../../experiment/run/summary.js';
import { kebab, textFromValue } from '../../experiment/settings/setting-text.js';
import { settingsInUse } from '../../experiment/settings/settings.js';
import { trainedNetwork } from '../../experiment/trained-network.js';
import { methodTitle } from '../../experiment/training-method.js';
import { featuresOf } from '../../network/layers/layer.js';
import { stageNames } from '../../verification/certification/verdict.js';
import type { Figure } from '../figure/figure.js';
import { type RunResults, readResults } from '../runs/run-results.js';
import { type HardImage, hardestImages } from './hardest.js';
import { activityFigure, classFigure, courseFigure, neuronFigure, scheduleFigure } from './report-figures.js';
import { reportPage } from './report-page.js';

/** Test images whose neurons are counted. */
const IMAGES = 64;

const seconds = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} s`;

function resultsOf({ accuracies, verdicts }: RunResults): [string, string, string][] {
  if (accuracies === undefined || verdicts === undefined) return [];
  const on = `of ${verdicts.length} test images`;
  return [
    ['natural', percent(accuracies.natural), `${on}, unperturbed`],
    ['certified', percent(accuracies.certified), `${on}: proved for the whole ball`],
    ['adversarial', percent(accuracies.adversarial), `${on}: no counterexample found`],
  ];
}

function timesOf({ trainingSeconds, certification }: RunResults): string[][] {
  const stages = stageNames.flatMap((name) => {
    const stage = certification?.stages?.[name];
    if (stage === undefined) return [];
    const { images, certified, falsified, seconds: time } = stage;
    return [[`certification: ${name}`, String(images), String(certified), String(falsified), seconds(time)]];
  });
  return [
    ['part', 'images', 'certified', 'falsified', 'wall clock'],
    ...(trainingSeconds === undefined ? [] : [['training', '', '', '', seconds(trainingSeconds)]]),
    ...stages,
  ];
}

/** What needs the images themselves. */
async function seen(run: RunResults, dataset: Dataset): Promise<{ figures: Figure[]; hardest: HardImage[] }> {
  const { settings, path, verdicts, certification } = run;
  const { network, parameters, certificate } = await trainedNetwork(path);
  const misfit = misfitOf(network, dataset);
  if (misfit !== undefined) throw new UsageError(`${path}: ${misfit}`);
  const count = Math.min(IMAGES, dataset.test.count);
  const batch = allocateBatch(count, featuresOf(dataset.shape));
  assembleBatch(
    dataset.test,
    Array.from({ length: count }, (_, i) => i),
    batch,
  );
  const epsilon = certification?.epsilon ?? settings.epsilon;
  const ball = { epsilon, clip: settings.clipBox };
  const layers = await reluActivity(network, parameters, batch.images, ball);
  const hardest = verdicts ? await hardestImages(certificate, verdicts, dataset, epsilon) : [];
  return { figures: layers.length > 0 ? [activityFigure(layers, epsilon, count)] : [], hardest };
}

/**
 * The page on a run.
 * @param dataset of the run; without it the page has neither images nor neurons
 * @throws UsageError, Failure, FileError, FormatError: one line for what cannot be read
 */
export async function reportOn(path: string, dataset?: Dataset): Promise<string> {
  const run = await readResults(path);
  const { settings, version, finished, verdicts, metrics } = run;
  const found = dataset && finished ? await seen(run, dataset) : { figures: [], hardest: [] };
  const training = courseFigure(metrics);
  const neurons = neuronFigure(metrics, settings.epsilon);
  const { seed } = settings;
  return reportPage({
    title: titleOf(settings),
    subtitle: `${run.name}: ${methodTitle(settings)}; seed ${seed}, tautnet ${version}.`,
    commands: [
      `tautnet certify ${quoted(path)}`,
      `tautnet landscape ${quoted(path)}`,
      `tautnet train --config ${quoted(run.paths.config)} --out <folder>`,
    ],
    results: resultsOf(run),
    notes: [
      ...(finished ? [] : [`Unfinished: go on with \`tautnet train --resume ${quoted(path)}\`.`]),
      ...(verdicts ? [] : [`Not certified yet: \`tautnet certify ${quoted(path)}\` proves its accuracies.`]),
      ...(dataset ? [] : [`The images of ${settings.dataset} could not be read: none are shown.`]),
    ],
    figures: [
      ...(training ? [training] : []),
      scheduleFigure(settings),
      ...(neurons ? [neurons] : []),
      ...found.figures,
      ...(verdicts ? [classFigure(verdicts)] : []),
    ],
    hardest: found.hardest,
    times: timesOf(run),
    settings: [
      ['setting', 'value'],
      ...settingsInUse(settings).map((name) => [kebab(name), textFromValue(settings[name])]),
    ],
  });
}
