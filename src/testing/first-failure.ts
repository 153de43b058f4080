/** Property tests end with the first example that fails: a smaller one that fails too would be of no use. */
import fc from 'fast-check';

fc.configureGlobal({ ...fc.readConfigureGlobal(), endOnFailure: true });
