/** What a person needs to know about one setting, beside its schema and its default. */
import type { Method, Smoothing } from './choices.js';

export interface SettingInfo {
  readonly description: string;
  readonly unit?: string;
  /**
   * Only meaningful with one of these smoothings, or of these methods; elsewhere a value other than the
   * default is refused.
   */
  readonly only?: readonly Smoothing[] | readonly Method[];
  /** Its text may be several words on the command line, without quotes. */
  readonly words?: true;
  /** May differ when a run is resumed: it changes where and how fast the run computes, not what. */
  readonly changeable?: true;
}
