/** The mark of Posthorn. */
export const Logo = ({ size = 28 }: { size?: number }) => (
  <img src="/icon.svg" width={size} height={size} alt="" aria-hidden />
);
