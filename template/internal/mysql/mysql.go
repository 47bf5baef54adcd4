// Package mysql connects to MySQL and migrates its schema.
package mysql

import _ "github.com/go-sql-driver/mysql" // the driver
