/**
 * Reads an estimator's options with its schema; what does not fit is one line that names the estimator and
 * the option.
 */
import type { z } from 'zod';

export function parseOptions<Schema extends z.ZodType>(
  estimator: string,
  schema: Schema,
  options: z.input<Schema>,
): z.output<Schema> {
  const parsed = schema.safeParse(options, { reportInput: true });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message, input }) => {
    const got = input === undefined || typeof input === 'object' ? '' : `, got ${JSON.stringify(input)}`;
    return `${path.length > 0 ? `${path.join('.')}: ` : ''}${message}${got}`;
  });
  throw new TypeError(`${estimator} options: ${problems.join('; ')}`);
}
