// What the onboarding element says, in five languages. `{product}`, `{command}` and `{version}` are replaced.

/** The sentences of `<longwire-onboarding>`. */
export interface Strings {
  checking: string;
  ready: string;
  found: string;
  missing: string;
  why: string;
  download: string;
  run: string;
  copy: string;
  copied: string;
  waiting: string;
  checkAgain: string;
  whatTitle: string;
  what: readonly [program: string, registration: string, background: string, removal: string];
  forbidden: string;
  blocked: string;
  broken: string;
  unsupported: string;
}

const en: Strings = {
  checking: "Looking for Longwire…",
  ready: "Longwire {version} is installed. {product} is ready.",
  found: "Found Longwire {version}. {product} continues automatically.",
  missing: "{product} needs Longwire, which is not installed on this computer.",
  why: "Browsers stop an extension's background page after some time and close its connections. Longwire is a small program that keeps them open, so that no message is missed.",
  download: "Download Longwire and open the file:",
  run: "Run this command in a terminal:",
  copy: "Copy",
  copied: "Copied",
  waiting: "This page updates when Longwire is installed. You do not need to reload it.",
  checkAgain: "Check again",
  whatTitle: "What is installed?",
  what: [
    "One program for your user account. No administrator rights are needed.",
    "One registration in each browser, which allows this extension to start the program.",
    "A background process that runs only while a connection is open. It does not listen on a network port.",
    "`longwire uninstall` removes all of it.",
  ],
  forbidden: "Longwire is installed, but not allowed for this extension yet.",
  blocked: "The administrator of this computer does not allow this extension to start Longwire.",
  broken: "Longwire is installed but does not start. Run this command to find the reason:",
  unsupported: "This extension cannot start programs: its manifest lacks the permission “nativeMessaging”.",
};

const de: Strings = {
  checking: "Longwire wird gesucht…",
  ready: "Longwire {version} ist installiert. {product} ist bereit.",
  found: "Gefunden: Longwire {version} ist installiert. {product} arbeitet jetzt weiter.",
  missing: "{product} benötigt Longwire. Es ist auf diesem Computer nicht installiert.",
  why: "Browser beenden die Hintergrundseite einer Erweiterung nach einiger Zeit und schließen ihre Verbindungen. Longwire ist ein kleines Programm, das sie offen hält, damit keine Nachricht verloren geht.",
  download: "Longwire herunterladen und die Datei öffnen:",
  run: "Diesen Befehl in einem Terminal ausführen:",
  copy: "Kopieren",
  copied: "Kopiert",
  waiting: "Diese Seite bemerkt, wenn Longwire installiert ist. Sie muss nicht neu geladen werden.",
  checkAgain: "Erneut prüfen",
  whatTitle: "Was wird installiert?",
  what: [
    "Ein Programm für Ihr Benutzerkonto. Administratorrechte sind nicht nötig.",
    "Ein Eintrag je Browser, der dieser Erweiterung erlaubt, das Programm zu starten.",
    "Ein Hintergrundprozess, der nur läuft, solange eine Verbindung offen ist. Er öffnet keinen Netzwerk-Port.",
    "`longwire uninstall` entfernt alles wieder.",
  ],
  forbidden: "Longwire ist installiert, aber für diese Erweiterung noch nicht erlaubt.",
  blocked: "Die Administration dieses Computers erlaubt dieser Erweiterung nicht, Longwire zu starten.",
  broken: "Longwire ist installiert, startet aber nicht. Dieser Befehl findet die Ursache:",
  unsupported:
    "Diese Erweiterung kann keine Programme starten: Im Manifest fehlt die Berechtigung „nativeMessaging“.",
};

const es: Strings = {
  checking: "Buscando Longwire…",
  ready: "Longwire {version} está instalado. {product} está listo.",
  found: "Encontrado: Longwire {version} está instalado. {product} continúa solo.",
  missing: "{product} necesita Longwire, que no está instalado en este equipo.",
  why: "Los navegadores detienen la página en segundo plano de una extensión y cierran sus conexiones. Longwire es un pequeño programa que las mantiene abiertas para que no se pierda ningún mensaje.",
  download: "Descargue Longwire y abra el archivo:",
  run: "Ejecute este comando en un terminal:",
  copy: "Copiar",
  copied: "Copiado",
  waiting: "Esta página detecta cuándo se instala Longwire. No hace falta recargarla.",
  checkAgain: "Comprobar de nuevo",
  whatTitle: "¿Qué se instala?",
  what: [
    "Un programa para su cuenta de usuario. No se necesitan permisos de administrador.",
    "Un registro en cada navegador, que permite a esta extensión iniciar el programa.",
    "Un proceso en segundo plano que solo se ejecuta mientras hay una conexión abierta. No abre ningún puerto de red.",
    "`longwire uninstall` lo elimina todo.",
  ],
  forbidden: "Longwire está instalado, pero aún no está permitido para esta extensión.",
  blocked: "La administración de este equipo no permite que esta extensión inicie Longwire.",
  broken: "Longwire está instalado pero no se inicia. Este comando averigua por qué:",
  unsupported:
    "Esta extensión no puede iniciar programas: a su manifiesto le falta el permiso «nativeMessaging».",
};

const zh: Strings = {
  checking: "正在查找 Longwire…",
  ready: "Longwire {version} 已安装，{product} 可以使用。",
  found: "已找到：Longwire {version} 已安装，{product} 将自动继续。",
  missing: "{product} 需要 Longwire，但这台电脑上没有安装。",
  why: "浏览器会在一段时间后停止扩展的后台页面并关闭其连接。Longwire 是一个小程序，它让连接保持打开，不会错过任何消息。",
  download: "下载 Longwire 并打开文件：",
  run: "在终端中运行此命令：",
  copy: "复制",
  copied: "已复制",
  waiting: "安装 Longwire 后本页会自动检测到，无需重新加载。",
  checkAgain: "重新检查",
  whatTitle: "会安装什么？",
  what: [
    "一个只属于您的用户帐户的程序，不需要管理员权限。",
    "在每个浏览器中的一项注册，允许此扩展启动该程序。",
    "一个仅在连接打开时运行的后台进程，不监听任何网络端口。",
    "运行 `longwire uninstall` 即可全部移除。",
  ],
  forbidden: "Longwire 已安装，但尚未允许此扩展使用。",
  blocked: "这台电脑的管理员不允许此扩展启动 Longwire。",
  broken: "Longwire 已安装但无法启动。运行此命令查找原因：",
  unsupported: "此扩展无法启动程序：清单缺少“nativeMessaging”权限。",
};

const id: Strings = {
  checking: "Mencari Longwire…",
  ready: "Longwire {version} sudah terpasang. {product} siap digunakan.",
  found: "Ditemukan: Longwire {version} sudah terpasang. {product} berlanjut dengan sendirinya.",
  missing: "{product} memerlukan Longwire, yang belum terpasang di komputer ini.",
  why: "Browser menghentikan halaman latar belakang ekstensi setelah beberapa waktu dan menutup koneksinya. Longwire adalah program kecil yang menjaga koneksi tetap terbuka sehingga tidak ada pesan yang terlewat.",
  download: "Unduh Longwire dan buka berkasnya:",
  run: "Jalankan perintah ini di terminal:",
  copy: "Salin",
  copied: "Tersalin",
  waiting: "Halaman ini mengetahui saat Longwire terpasang. Tidak perlu memuat ulang.",
  checkAgain: "Periksa lagi",
  whatTitle: "Apa yang dipasang?",
  what: [
    "Satu program untuk akun pengguna Anda. Tidak perlu hak administrator.",
    "Satu pendaftaran di setiap browser, yang mengizinkan ekstensi ini menjalankan program tersebut.",
    "Proses latar belakang yang hanya berjalan selama ada koneksi terbuka. Tidak membuka port jaringan.",
    "`longwire uninstall` menghapus semuanya.",
  ],
  forbidden: "Longwire sudah terpasang, tetapi belum diizinkan untuk ekstensi ini.",
  blocked: "Administrator komputer ini tidak mengizinkan ekstensi ini menjalankan Longwire.",
  broken: "Longwire sudah terpasang tetapi tidak dapat dijalankan. Perintah ini mencari penyebabnya:",
  unsupported:
    "Ekstensi ini tidak dapat menjalankan program: manifesnya tidak memiliki izin “nativeMessaging”.",
};

/** The built-in languages by their code. */
export const strings: Readonly<Record<string, Strings>> = { en, de, es, zh, id };

/** The strings of the first language that is known, else English. */
export function stringsFor(languages: readonly string[]): { language: string; strings: Strings } {
  for (const language of languages) {
    const known = strings[language.split("-")[0]?.toLowerCase() ?? ""];
    if (known) return { language, strings: known };
  }
  return { language: "en", strings: en };
}
