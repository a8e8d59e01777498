// What the page sees of the desktop: one named function a channel, and no way to send anything else.
import { contextBridge, ipcRenderer } from 'electron'
import { homeAddress } from '../../shared/ipc/home-address.ts'
import { showUnreadCount } from '../../shared/ipc/unread-count.ts'

contextBridge.exposeInMainWorld('hearth', {
  homeAddress: () => ipcRenderer.invoke(homeAddress.name, null),
  showUnreadCount: (count: number) => ipcRenderer.invoke(showUnreadCount.name, count),
})
