/**
 * The ladder of a verification: stages from cheap to dear, which items – images, polytopes – climb until a
 * verdict takes them off.
 *
 *   open ← all items;  for each stage:  verdicts ← stage(open, context),  open ← open ∖ decided
 *
 * A stage is a plain object; what several stages know of open items stands in the context that they share.
 */

/** Tells the verdict on one open item; a stage tells it as soon as it is known. */
export type Decide<Verdict> = (item: number, verdict: Verdict) => void;

/** One way to decide items. */
export interface Stage<Context, Verdict, Name extends string = string> {
  readonly name: Name;
  /** Reason for which the stage is left out, if it is; asked only where items are open. */
  skipped?(context: Context): string | undefined;
  /** Works on the open items, in ascending order; those that it does not decide go on to the next stage. */
  run(open: readonly number[], context: Context, decide: Decide<Verdict>): Promise<void>;
}

export interface Ladder<Context, Verdict, Name extends string> {
  readonly stages: readonly Stage<Context, Verdict, Name>[];
  readonly context: Context;
  /** Numbers of the items, ascending. */
  readonly items: readonly number[];
  /** Called with each verdict at once. */
  readonly decided?: Decide<Verdict>;
  /** Whether a verdict on one item answers for all, so that no further stage begins; default never. */
  readonly endsAll?: (verdict: Verdict) => boolean;
}

/** Record of one stage. */
export interface Rung<Verdict, Name extends string> {
  readonly name: Name;
  /** Items that entered it. */
  readonly items: number;
  /** Verdicts in the order in which they were told. */
  readonly verdicts: readonly Verdict[];
  /** Wall clock. */
  readonly seconds: number;
  /** Reason for which it was left out, where it was. */
  readonly skipped?: string;
}

export interface Climb<Verdict, Name extends string> {
  /** One for each item, in their order; undefined where no stage decided. */
  readonly verdicts: readonly (Verdict | undefined)[];
  /** One for each stage, also where no item was left; up to the stage whose verdict ended all. */
  readonly rungs: readonly Rung<Verdict, Name>[];
}

/**
 * Sends all items up the ladder. A stage that no item enters does not run.
 * @throws Error where a stage decides an item twice or one that did not enter it; what a stage throws
 */
export async function climb<Context, Verdict extends object, Name extends string>({
  stages,
  context,
  items,
  decided,
  // Stryker disable next-line ArrowFunction: what is undefined ends nothing either
  endsAll = () => false,
}: Ladder<Context, Verdict, Name>): Promise<Climb<Verdict, Name>> {
  const verdicts = new Map<number, Verdict>();
  const rungs: Rung<Verdict, Name>[] = [];
  for (const stage of stages) {
    const open = items.filter((item) => !verdicts.has(item));
    const entered = new Set(open);
    const found: Verdict[] = [];
    const decide: Decide<Verdict> = (item, verdict) => {
      if (!entered.delete(item))
        throw new Error(`ladder: expected ${stage.name} to decide open items once, got item ${item}`);
      verdicts.set(item, verdict);
      found.push(verdict);
      decided?.(item, verdict);
    };
    const started = performance.now();
    const skipped = open.length > 0 ? stage.skipped?.(context) : undefined;
    if (open.length > 0 && skipped === undefined) await stage.run(open, context, decide);
    rungs.push({
      name: stage.name,
      items: open.length,
      verdicts: found,
      seconds: (performance.now() - started) / 1000,
      ...(skipped !== undefined && { skipped }),
    });
    if (found.some(endsAll)) break;
  }
  return { verdicts: items.map((item) => verdicts.get(item)), rungs };
}
