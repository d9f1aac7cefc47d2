/** What is used of package.json, which lies outside the compiler's root; the bundler takes only this key of it. */
declare module '*/package.json' {
  export const version: string;
}
