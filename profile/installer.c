/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profile/installer.h"

const struct sh_installer *const sh_installers[] = {&sh_installer_nm, &sh_installer_hook, NULL};
