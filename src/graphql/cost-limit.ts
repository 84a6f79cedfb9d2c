interface Cost {
  complexity: number;
  depth: number;
  breadth: number;
  maxComplexity?: number;
  maxDepth?: number;
  maxBreadth?: number;
}

/** The operation asks for too much. */
export class CostLimitError extends Error {
  override readonly name = 'CostLimitError';

  constructor(kind: string, cost: Cost) {
    const limits: Record<string, string> = {
      Complexity: `complexity ${cost.complexity}, where ${cost.maxComplexity} is allowed. Ask for smaller pages.`,
      Depth: `depth ${cost.depth}, where ${cost.maxDepth} is allowed. Split the operation.`,
      Breadth: `${cost.breadth} fields, where ${cost.maxBreadth} are allowed. Split the operation.`,
    };
    super(`This operation has ${limits[kind]}`);
  }
}
