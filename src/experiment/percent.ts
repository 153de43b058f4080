/** An accuracy in [0, 1] as people read it: "97.60 %". */
export const percent = (accuracy: number): string => `${(100 * accuracy).toFixed(2)} %`;
