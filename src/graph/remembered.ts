/** What is made once: plans, of which each is compiled when it is first run. */

/**
 * What `make` makes of an owner and a name, the first time that it is asked for; kept as long as the owner
 * is.
 */
export function remembered<Owner extends object, Made>(): (
  owner: Owner,
  name: string,
  make: () => Made,
) => Made {
  const known = new WeakMap<Owner, Map<string, Made>>();
  return (owner, name, make) => {
    const own = known.get(owner) ?? new Map<string, Made>();
    known.set(owner, own);
    if (!own.has(name)) own.set(name, make());
    return own.get(name) as Made;
  };
}
