// Standard Schema (https://standardschema.dev), version 1, as far as the SDK uses it: zod, valibot, arktype and others have
// it. Types only, and one call.

/** A validator of zod, valibot, arktype and others. */
export interface StandardSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown): SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** A validator's result: the value, or the issues. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The type that a validator makes. */
export type SchemaOutput<Schema extends StandardSchema> = NonNullable<Schema["~standard"]["types"]>["output"];

/** What is wrong, in one line. */
export function describeIssues(issues: readonly SchemaIssue[]): string {
  const keys = ({ path = [] }: SchemaIssue) => path.map((step) => `${String(Object(step).key ?? step)}: `);
  return issues.map((issue) => keys(issue).join("") + issue.message).join("; ");
}
