/** The network that is looked into: dropped onto the page, or the one that comes with it. */
import { useEffect, useState } from 'preact/hooks';
import { sizeProblem } from '../../src/insight/page/page-limits.js';
import type { CertifyAnswer, NetworkAnswer } from '../../src/insight/page/questions.js';
import { Card, percent, Scale, short } from '../dashboard/parts.js';

export interface NetworkProps {
  readonly network: NetworkAnswer | undefined;
  readonly problem: string | undefined;
  readonly open: (file: File) => void;
  readonly refuse: (problem: string) => void;
  readonly certify: () => Promise<CertifyAnswer>;
  readonly epsilon: number;
}

/** Files dropped anywhere on the page, or chosen. */
function useFiles({ open, refuse }: Pick<NetworkProps, 'open' | 'refuse'>) {
  const [over, setOver] = useState(false);
  const taken = (file: File | undefined) => {
    if (file === undefined) return;
    const problem = sizeProblem(file.name, file.size);
    if (problem === undefined) open(file);
    else refuse(problem);
  };
  useEffect(() => {
    const dragged = (event: DragEvent) => {
      event.preventDefault();
      setOver(event.type === 'dragover');
    };
    const dropped = (event: DragEvent) => {
      dragged(event);
      taken(event.dataTransfer?.files[0]);
    };
    addEventListener('dragover', dragged);
    addEventListener('dragleave', dragged);
    addEventListener('drop', dropped);
    return () => {
      removeEventListener('dragover', dragged);
      removeEventListener('dragleave', dragged);
      removeEventListener('drop', dropped);
    };
  });
  return { over, taken };
}

export function NetworkCard(props: NetworkProps) {
  const { network, problem, certify, epsilon } = props;
  const { over, taken } = useFiles(props);
  const [certified, setCertified] = useState<CertifyAnswer & { readonly of: NetworkAnswer }>();
  const [busy, setBusy] = useState(false);
  const run = async () => {
    if (network === undefined) return;
    setBusy(true);
    try {
      setCertified({ ...(await certify()), of: network });
    } catch (error) {
      props.refuse((error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section class={over ? 'card network over' : 'card network'}>
      <h2>The network</h2>
      {network && (
        <p>
          <b>{network.name}</b>: {network.parameters.toLocaleString('en')} parameters,{' '}
          {network.neurons.toLocaleString('en')} ReLUs
          {network.epsilon === undefined ? '' : `, trained for ε = ${network.epsilon}`}
        </p>
      )}
      <label class="file">
        Drop an ONNX file onto the page, or choose one:{' '}
        <input
          type="file"
          accept=".onnx,.gz"
          onChange={(event) => {
            taken(event.currentTarget.files?.[0]);
            event.currentTarget.value = '';
          }}
        />
      </label>
      {problem && <Card bad>{problem}</Card>}
      <p>
        <button type="button" onClick={run} disabled={busy || network === undefined}>
          {busy ? 'Certifying …' : `Certify 500 test digits at ε = ${short(epsilon)}`}
        </button>
      </p>
      {certified && certified.of === network && (
        <p data-certified={certified.certified}>
          At ε = {short(certified.epsilon)}, of {certified.images} digits: natural{' '}
          {percent(certified.natural)}, adversarial {percent(certified.adversarial)}, certified{' '}
          <b>{percent(certified.certified)}</b> <Scale accuracies={certified} />
        </p>
      )}
    </section>
  );
}
