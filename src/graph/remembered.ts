/** The one memo: what is made once for an owner, such as plans, which are compiled when first run. */

/** The value of `make` for an owner and a name, made when first asked for; it lives as long as the owner. */
export function remembered<Owner extends object, Value>(): (
  owner: Owner,
  name: string,
  make: () => Value,
) => Value {
  const known = new WeakMap<Owner, Map<string, Value>>();
  return (owner, name, make) => {
    const values = known.get(owner) ?? new Map<string, Value>();
    known.set(owner, values);
    if (!values.has(name)) values.set(name, make());
    return values.get(name) as Value;
  };
}
