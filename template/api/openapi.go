// Package openapi holds the contract of the API.
package openapi

import _ "embed" // for Contract

// Contract is openapi.yaml.
//
//go:embed openapi.yaml
var Contract []byte
