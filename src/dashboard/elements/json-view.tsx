import { Button, Code, ScrollArea } from '@mantine/core';
import { type ComponentProps, useState } from 'react';
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

/** A body: as a tree that folds where it is JSON, and as the text it is. */
export function Body({ text, label, maxHeight = 420 }: BodyProps) {
  const [isText, setText] = useState(false);
  const data = parseTree(text);
  return (
    <div className={classes.frame}>
      {data !== null && (
        <Button
          className={classes.switch}
          size="compact-xs"
          variant="default"
          onClick={() => setText(!isText)}
          aria-label={`${label} as ${isText ? 'a tree' : 'text'}`}
        >
          {isText ? 'Tree' : 'Text'}
        </Button>
      )}
      <ScrollArea.Autosize
        mah={maxHeight}
        type="auto"
        viewportProps={{ tabIndex: 0, 'aria-label': label, role: 'region' }}
      >
        {data === null || isText ? (
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
    </div>
  );
}

/** Objects and arrays. What a tree would not show as it is, or at all, stays a text: numbers of many digits, and great depth. */
function parseTree(text: string): object | null {
  if (/\d{16,}/.test(text) || isDeep(text)) return null;
  try {
    const data = JSON.parse(text);
    return typeof data === 'object' ? data : null;
  } catch {
    return null;
  }
}

/** Deeper than this, a tree is no help, and drawing it takes more than a browser has. Brackets in strings count too. */
const DEPTH_MAX = 40;

function isDeep(text: string): boolean {
  let depth = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    if (depth > DEPTH_MAX) return true;
  }
  return false;
}
