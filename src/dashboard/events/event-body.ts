/** Why a text is no JSON, with the place; null: it is. */
export function findJsonFault(text: string): string | null {
  if (text.trim() === '') return 'Enter a payload, for example {}.';
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return `This is no JSON: ${(error as Error).message}`;
  }
}
