/** Slurm on this machine for tests: one node on 127.0.0.1, in a temporary folder, of Debian's packages. */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, until } from './queue-servers.js';

export interface SlurmCluster {
  /** Its configuration, which commands find by `SLURM_CONF`. */
  readonly configuration: string;
  /** What a command of it says. */
  says(command: string, ...args: string[]): string;
  stop(): Promise<void>;
}

const PROGRAMS = ['munged', 'slurmctld', 'slurmd', 'sbatch', 'scontrol'];
const isThere = (program: string): boolean => spawnSync('which', [program]).status === 0;

/** Why it cannot be tested here, in one line; undefined where it can. */
export const slurmAbsence =
  PROGRAMS.filter((program) => !isThere(program)).length > 0
    ? `${PROGRAMS.filter((program) => !isThere(program)).join(', ')}: not installed`
    : process.getuid?.() !== 0
      ? 'slurmd is for root'
      : undefined;
if (slurmAbsence !== undefined) console.info(`skipped: tests of Slurm itself, as ${slurmAbsence}`);

/** No accounting and no control groups, which a container has not. */
const configurationOf = (folder: string, ports: readonly [number, number]): string => `
ClusterName=tests
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${join(folder, 'munge.socket')}
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
StateSaveLocation=${join(folder, 'state')}
SlurmdSpoolDir=${join(folder, 'spool')}
SlurmctldPidFile=${join(folder, 'slurmctld.pid')}
SlurmdPidFile=${join(folder, 'slurmd.pid')}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName=${hostname()} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;

/** Starts its three services. @throws Error where the node is not idle in time */
export async function startSlurm(): Promise<SlurmCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'tautnet-slurm-'));
  const configuration = join(folder, 'slurm.conf');
  for (const name of ['state', 'spool']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'munge.key'), randomBytes(128), { mode: 0o600 });
  await writeFile(configuration, configurationOf(folder, [await freePort(), await freePort()]));
  const munge = ['key', 'socket', 'seed', 'pid'].map((name) => {
    const option = { key: 'key-file', socket: 'socket', seed: 'seed-file', pid: 'pid-file' }[name];
    return `--${option}=${join(folder, `munge.${name}`)}`;
  });
  const environment = { ...process.env, SLURM_CONF: configuration };
  const service = (program: string, args: readonly string[]) => {
    const child = spawn(program, args, { stdio: 'ignore', env: environment });
    const gone = new Promise((resolve) => child.once('close', resolve));
    return async () => {
      child.kill('SIGTERM');
      await gone;
    };
  };
  const says = (command: string, ...args: string[]): string =>
    spawnSync(command, args, { env: environment, encoding: 'utf8' }).stdout ?? '';
  const services = [service('munged', ['--foreground', '--force', ...munge])];
  const stop = async () => {
    for (const end of services.toReversed()) await end();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until(() => says('munge', '-n', '-S', join(folder, 'munge.socket')).startsWith('MUNGE:'), 'munge');
    services.push(service('slurmctld', ['-D', '-f', configuration]));
    services.push(service('slurmd', ['-D', '-f', configuration]));
    await until(() => says('sinfo', '-h', '-o', '%t').trim() === 'idle', 'an idle node of Slurm');
  } catch (error) {
    await stop();
    throw error;
  }
  return { configuration, says, stop };
}
