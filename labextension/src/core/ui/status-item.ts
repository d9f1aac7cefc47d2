/** A text in the status bar that can be pressed, dressed by JupyterLab's own classes: no style is loaded at start-up. */

import { Widget } from '@lumino/widgets';

export interface IStatusItem {
  item: Widget;
  button: HTMLButtonElement;
}

export function makeItem(name: string, press: () => void): IStatusItem {
  const item = new Widget();
  const button = document.createElement('button');
  button.style.cssText =
    'height:100%;padding:0;border:0;color:inherit;background:none;font:inherit;cursor:pointer';
  button.onclick = press;
  item.node.append(button);
  for (const each of ['jp-StatusBar-TextItem', 'jp-mod-highlighted', name]) {
    item.addClass(each);
  }
  return { item, button };
}
