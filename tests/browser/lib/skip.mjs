// Tests that this machine cannot run. Node's runner names them, `scripts/check` counts them, and under CI they fail.

/** The `skip` option of a test: `why` where something is missing. Throws under CI, which skips nothing. */
export function skipUnless(isThere, why) {
  if (!isThere && process.env.CI) throw new Error(`these tests cannot run, and CI skips nothing: ${why}`);
  return !isThere && why;
}
