import { type CSSVariablesResolver, createTheme } from '@mantine/core';

/** Contrast of all text is AA or better, so some of the library's lighter shades give way to darker ones. */
export const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: { light: 8, dark: 8 },
  defaultRadius: 'md',
  cursorType: 'pointer',
  fontFamily: 'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace',
  headings: { fontWeight: '650' },
  respectReducedMotion: true,
  components: {
    Tooltip: { defaultProps: { withArrow: true, openDelay: 300, events: { hover: true, focus: true, touch: true } } },
    Modal: { defaultProps: { centered: true, closeButtonProps: { 'aria-label': 'Close' } } },
    Paper: { defaultProps: { radius: 'md' } },
  },
});

export const cssVariablesResolver: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-body': '#ffffff',
    '--mantine-color-dimmed': '#5b626a',
    '--mantine-color-placeholder': '#6a7178',
    '--mantine-color-error': '#c92a2a',
    '--posthorn-canvas': '#f6f7f9',
    '--posthorn-hover': '#f1f3f7',
    '--posthorn-active': '#e8ecfd',
  },
  dark: {
    '--mantine-color-body': '#1a1c21',
    '--mantine-color-text': '#d8dbe0',
    '--mantine-color-dimmed': '#9aa1aa',
    '--mantine-color-placeholder': '#8b929b',
    '--mantine-color-error': '#ff8787',
    '--mantine-color-default-border': '#343840',
    '--posthorn-canvas': '#131519',
    '--posthorn-hover': '#22252b',
    '--posthorn-active': '#262c4a',
  },
});
