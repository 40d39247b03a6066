/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The schema of the registry as steps: step i brings a database of version i to i + 1. A step that
 * was released is never edited.
 */
#ifndef SIMHOP_PAIRING_REGISTRY_SCHEMA_H
#define SIMHOP_PAIRING_REGISTRY_SCHEMA_H

#define SH_REGISTRY_VERSION 6

extern const char *const sh_registry_steps[SH_REGISTRY_VERSION];

#endif
