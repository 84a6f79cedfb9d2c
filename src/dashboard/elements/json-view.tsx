import { Code, ScrollArea } from '@mantine/core';
import type { ComponentProps } from 'react';
import { allExpanded, collapseAllNested, JsonView } from 'react-json-view-lite';
import classes from './json-view.module.css';

/** Larger ones are shown folded. */
const OPEN_CHARACTERS_MAX = 4_000;

const styles: ComponentProps<typeof JsonView>['style'] = {
  container: classes.container,
  basicChildStyle: classes.child,
  childFieldsContainer: classes.children,
  label: classes.label,
  clickableLabel: classes.clickable,
  nullValue: classes.keyword,
  undefinedValue: classes.keyword,
  booleanValue: classes.keyword,
  numberValue: classes.number,
  stringValue: classes.string,
  otherValue: classes.string,
  punctuation: classes.punctuation,
  expandIcon: classes.expand,
  collapseIcon: classes.collapse,
  collapsedContent: classes.collapsed,
  noQuotesForStringValues: false,
};

export interface BodyProps {
  text: string;
  /** Accessible name. */
  label: string;
  /** @default 420 */
  maxHeight?: number;
}

/** A body: as a tree that folds where it is JSON, else as the text it is. */
export function Body({ text, label, maxHeight = 420 }: BodyProps) {
  const data = parseTree(text);
  return (
    <ScrollArea.Autosize
      mah={maxHeight}
      type="auto"
      className={classes.frame}
      viewportProps={{ tabIndex: 0, 'aria-label': label, role: 'region' }}
    >
      {data === null ? (
        <Code block bg="transparent" className={classes.text}>
          {text === '' ? '(empty)' : text}
        </Code>
      ) : (
        <JsonView
          data={data}
          style={styles}
          shouldExpandNode={text.length > OPEN_CHARACTERS_MAX ? collapseAllNested : allExpanded}
          clickToExpandNode
          aria-label={label}
        />
      )}
    </ScrollArea.Autosize>
  );
}

/** Objects and arrays. Numbers too large to be read exactly stay in the text. */
function parseTree(text: string): object | null {
  if (/\d{16,}/.test(text)) return null;
  try {
    const data = JSON.parse(text);
    return typeof data === 'object' ? data : null;
  } catch {
    return null;
  }
}
