/** An API key, or a token from a link that signs in once. */
export type Credential = { key: string } | { token: string };

/** Signs in: the server answers with a cookie that no script can read. @returns null; or what is wrong */
export async function signIn(credential: Credential): Promise<string | null> {
  try {
    const response = await fetch('/session', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(credential),
    });
    if (response.ok) return null;
    const { message } = (await response.json()) as { message?: string };
    return message ?? `Posthorn answered ${response.status}.`;
  } catch {
    return "Posthorn can't be reached. Check that it runs, and try again.";
  }
}

/** Takes the cookie away, and begins anew. @returns null; or why it could not */
export async function signOut(): Promise<string | null> {
  try {
    await fetch('/session', { method: 'DELETE' });
  } catch {
    return "Posthorn can't be reached: you are still signed in.";
  }
  window.location.assign('/');
  return null;
}
