/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What `simhop sync` does once its options are read, for `simhop resume` too: the options of both, and the run.
 */
#ifndef SIMHOP_CLI_VERB_SYNC_H
#define SIMHOP_CLI_VERB_SYNC_H

#include "cli/verb.h"
#include "pairing/registry.h"

struct sh_sync_values {
    struct sh_common common;
    const char *anchor, *dir, *nm_dir, *hook, *eid, *kind;
    int64_t code_fd;
    bool no_install, pair, take_wifi;
    const uint8_t *
        anchor_id; /* no option: the linked device that is meant, where its name may be another's too */
};

/* Rows of both verbs' tables. The values start with a struct sh_sync_values. */
#define SH_SYNC_ROW(name, kind, placeholder, help, field)                                          \
    {                                                                                              \
        name, 0, SH_OPTION_##kind, placeholder, help, offsetof(struct sh_sync_values, field)       \
    }
/* clang-format off */
#define SH_SYNC_ROWS                                                                               \
    SH_SYNC_ROW("code-fd", DESCRIPTOR, "N", "Read the code from this descriptor (0), a line a try.",    \
                code_fd),                                                                          \
    SH_SYNC_ROW("no-install", FLAG, NULL,                                                          \
                "Keep the bundle in the state folder, install nothing.", no_install),              \
    SH_SYNC_ROW("nm-dir", TEXT, "DIR",                                                             \
                "Folder for NetworkManager keyfiles (/etc/NetworkManager/system-connections, if "  \
                "it exists).", nm_dir),                                                            \
    SH_SYNC_ROW("hook", TEXT, "PROGRAM",                                                           \
                "Run this program with the path of the bundle and of each file (an absolute "      \
                "path).", hook),                                                                   \
    SH_SYNC_ROW("take-wifi", FLAG, NULL,                                                           \
                "Where no other way works, join by the Wi-Fi interface itself: this device is "    \
                "without its own Wi-Fi network until the transfer is done.", take_wifi),           \
    SH_SYNC_ROW("eid", TEXT, "EID",                                                                \
                "This device's EID (32 digits): the bundle is bound to it.", eid),                 \
    SH_SYNC_ROW("kind", TEXT, "KIND", "tablet (the default), laptop, watch, phone, iot.", kind)
/* clang-format on */

/* Checks the options, syncs, installs what arrived, says `done`. */
SH_MUST_USE enum sh_cause sh_sync_verb_run(const struct sh_sync_values *values,
                                           struct sh_registry *registry, struct sh_output *out);

#endif
