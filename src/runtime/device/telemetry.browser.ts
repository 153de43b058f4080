/** The browser's runtime sends nothing that would have to be turned off. */
export {};
