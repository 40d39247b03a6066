/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Installers put what arrived where it is used. One table of functions each; `nm` writes NetworkManager
 * keyfiles for the lines' APNs, `hook` runs a program with an item's path. The LPA gets a row here too.
 */
#ifndef SIMHOP_PROFILE_INSTALLER_H
#define SIMHOP_PROFILE_INSTALLER_H

#include "profile/bundle.h"

struct sh_install_config {
    const char *nm_dir; /* folder for keyfiles; NULL = /etc/NetworkManager/system-connections */
    const char *hook;   /* absolute path of a program; NULL = none */
    uint32_t hook_timeout_ms; /* 0 = 60 000 */
    int cancel_fd;            /* readable: stop the hook (session.interrupted); 0 = none */
    uint64_t ends_at;         /* CLOCK_BOOTTIME in ms: stop the hook (session.deadline); 0 = none */
};

/* Called for each file written or program run: "nm", "/etc/.../simhop-8949....nmconnection". */
typedef void (*sh_installed_fn)(const char *installer, const char *what, void *user);

struct sh_installer {
    const char *name;
    /* Is there something to install to? (nm: the folder exists; hook: one is configured.) */
    bool (*applies)(const struct sh_install_config *config);
    /* One verified bundle; path is its file. */
    enum sh_cause (*bundle)(const struct sh_install_config *config, const Simhop__Bundle *bundle,
                            const char *path, sh_installed_fn done, void *user);
    /* One verified item; NULL where this installer has no use for plain items. */
    enum sh_cause (*item)(const struct sh_install_config *config, const char *name,
                          const char *path, sh_installed_fn done, void *user);
};

extern const struct sh_installer sh_installer_nm, sh_installer_hook;
/* All, in the order in which they run; ends with NULL. */
extern const struct sh_installer *const sh_installers[];

#endif
