/* SPDX-License-Identifier: MIT */
#pragma once

/* The published names: daemon and client speak them, org.coalloc1(5) documents them. */

#define COALLOC_BUS_NAME "org.coalloc1"
#define COALLOC_PATH "/org/coalloc1"
#define COALLOC_INTERFACE "org.coalloc1.Manager"
#define COALLOC_SERVICE_PATH_PREFIX "/org/coalloc1/service"
#define COALLOC_SERVICE_INTERFACE "org.coalloc1.Service"

#define COALLOC_ERROR_NO_SUCH_SERVICE "org.coalloc1.NoSuchService"
#define COALLOC_ERROR_CONFIG_INVALID "org.coalloc1.ConfigInvalid"
#define COALLOC_ERROR_NO_PLAN_YET "org.coalloc1.NoPlanYet"
#define COALLOC_ERROR_NOT_FOREIGN "org.coalloc1.NotForeign"
#define COALLOC_ERROR_NOT_RUNNING "org.coalloc1.NotRunning"
#define COALLOC_ERROR_STOPPING "org.coalloc1.Stopping"
#define COALLOC_ERROR_NOT_GIVEN_BACK "org.coalloc1.NotGivenBack"

#define COALLOC_ACTION_CONTROL "org.coalloc1.control"
#define COALLOC_ACTION_REPORT_LATENCY "org.coalloc1.report-latency"
